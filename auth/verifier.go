package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/hubbub-go/hubbub"
)

// ErrUnavailable says that a credential could not be checked, because the keys of its issuer cannot be had at the moment. It
// is no judgement on the credential. The middleware answers 503 instead of 401.
var ErrUnavailable = errors.New("the keys to check the credential with are not available")

// Verifier turns an access token into the user it was issued to. It fails if the token is not valid now, with an error that
// is for the log and does not contain the token, or with one that wraps [ErrUnavailable] if it cannot tell. It may block for
// the network until ctx ends and must be safe for concurrent use.
type Verifier func(ctx context.Context, token string) (*hubbub.User, error)

// Any returns a [Verifier] that asks verifiers in order and takes the first user. If none accepts the token the error wraps
// all of theirs. It panics without a verifier.
func Any(verifiers ...Verifier) Verifier {
	if len(verifiers) == 0 {
		panic("auth: Any without a verifier")
	}
	for i, v := range verifiers {
		if v == nil {
			panic(fmt.Sprintf("auth: Any: verifier %d is nil", i))
		}
	}
	return func(ctx context.Context, token string) (*hubbub.User, error) {
		var all error
		for _, v := range verifiers {
			u, err := v(ctx, token)
			switch {
			case err == nil && u != nil:
				return u, nil
			case err == nil:
				err = errNobody
			}
			if all == nil {
				all = err
			} else {
				all = fmt.Errorf("%w; %w", all, err)
			}
		}
		return nil, all
	}
}

var errNobody = errors.New("auth: the verifier names no user")
