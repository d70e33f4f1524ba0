package auth_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

func TestRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[string]int{}
		refused := errors.New("refused")
		begun := time.Now()
		verify := auth.Remember(func(_ context.Context, token string) (*hubbub.User, error) {
			asked[token]++
			switch {
			case token == "bad":
				return nil, refused
			case token == "short" && time.Since(begun) >= 3*time.Second:
				return nil, refused
			case token == "short":
				return &hubbub.User{ID: "ann", Expires: begun.Add(3 * time.Second)}, nil
			}
			return &hubbub.User{ID: token}, nil
		}, 10*time.Second)
		ask := func(token, id string, want error) {
			t.Helper()
			u, err := verify(t.Context(), token)
			if !errors.Is(err, want) || err == nil && u.ID != id {
				t.Errorf("after %v %s is of %+v, %v, want %q, %v", time.Since(begun), token, u, err, id, want)
			}
			if u != nil {
				u.ID = "changed" // by whoever got it
			}
		}
		for range 2 {
			ask("good", "good", nil)
			ask("short", "ann", nil)
			ask("bad", "", refused)
			time.Sleep(2 * time.Second)
		}
		ask("good", "good", nil)
		ask("short", "", refused) // it has ended
		time.Sleep(7 * time.Second)
		ask("good", "good", nil)
		for token, want := range map[string]int{"good": 2, "short": 2, "bad": 2} {
			if asked[token] != want {
				t.Errorf("the verifier was asked %d times for %s, want %d", asked[token], token, want)
			}
		}
	})
}

// More tokens than it remembers are good all the same.
func TestRememberMany(t *testing.T) {
	t.Parallel()
	verify := auth.Remember(func(_ context.Context, token string) (*hubbub.User, error) { return &hubbub.User{ID: token}, nil }, time.Hour)
	token := make([]byte, 4)
	for i := range 40_000 {
		for j := range token {
			token[j] = 'a' + byte(i>>(4*j)&15)
		}
		u, err := verify(t.Context(), string(token))
		if err != nil || u.ID != string(token) {
			t.Fatalf("%s is of %+v, %v", token, u, err)
		}
	}
}
