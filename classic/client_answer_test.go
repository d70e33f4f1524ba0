package classic_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// The answer to a call without an id is nobody's, and an error in it does not end the connection.
func TestClientUnwantedError(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		c := dialed(t, s.url, tr)
		p := c.Hub("RefHub")
		started(t, c)
		for range 3 {
			if err := p.Send(t.Context(), "NoSuch"); err != nil {
				t.Errorf("send: %v", err)
			}
			if v, err := hubbub.Invoke[string](t.Context(), p, "Echo", "x"); err != nil || v != "x" {
				t.Fatalf("call after it: %q, %v", v, err)
			}
		}
	})
}

// A web page is no server of any dialect.
func TestClientInvalidAnswer(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"<html>", `{"ProtocolVersion":"2.0"}`, `[1]`, `{"ProtocolVersion":2}`, ""} {
		f := newFake(t, func(f *fake) {
			f.on["negotiate"] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
		})
		if err := dialed(t, f.url, classic.AllTransports).Start(t.Context()); !errors.Is(err, classic.ErrInvalidAnswer) {
			t.Errorf("%q: %v, want ErrInvalidAnswer", body, err)
		}
	}
}
