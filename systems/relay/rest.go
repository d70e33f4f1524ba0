package relay

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
)

// restPaths are what the REST endpoints answer to, for the mux around them.
func (s *System) restPaths() []string {
	paths := []string{"/realtime/events/", "/realtime/push"}
	if s.queue != nil {
		paths = append(paths, ticket.Paths()...)
	}
	return paths
}

// Problem is the body of every error of the REST endpoints (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Error returns what is wrong.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

func problem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// endpoint answers a request; an error becomes a problem.
type endpoint func(w http.ResponseWriter, r *http.Request) error

func (s *System) newREST() {
	mux := http.NewServeMux()
	mux.Handle("/realtime/events/trigger", s.post(RightTrigger, s.postTrigger))
	mux.Handle("/realtime/events/subscribe", s.post(RightSubscribe, s.postSubscribe))
	mux.Handle("/realtime/push", s.post(RightTrigger, s.postPush))
	if s.queue != nil {
		tickets := s.queue.Handler(s.guard)
		for _, path := range ticket.Paths() {
			mux.Handle(path, tickets)
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.writeProblem(w, r, problem(http.StatusNotFound, "There is no such endpoint."))
	})
	s.rest = mux
}

// post lets users with a right pass who use the method POST.
func (s *System) post(right string, e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			s.writeProblem(w, r, problem(http.StatusMethodNotAllowed, "The method is "+clip(r.Method)+", want POST."))
			return
		}
		r, err := s.identify(r, right)
		if err == nil {
			err = e(w, r)
		}
		if err != nil {
			s.writeProblem(w, r, err)
		}
	})
}

// guard lets users with a right pass.
func (s *System) guard(right string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := s.identify(r, right)
		if err != nil {
			s.writeProblem(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// identify returns the request with its user, who must have the right: by a token in the header alone, one in the query is not
// looked at.
func (s *System) identify(r *http.Request, right string) (*http.Request, error) {
	if s.config.Verify == nil {
		return r, nil
	}
	u, err := auth.Token(s.config.Verify, nil)(r)
	switch {
	case errors.Is(err, auth.ErrUnavailable):
		s.log.ErrorContext(r.Context(), "relay: token not checked", "error", err)
		return r, problem(http.StatusServiceUnavailable, "The token cannot be checked at the moment.")
	case err != nil || u == nil:
		return r, problem(http.StatusUnauthorized, "A valid token is needed, in the header Authorization.")
	case !HasRight(u, right):
		return r, problem(http.StatusForbidden, "The right "+right+" is needed.")
	}
	return r.WithContext(hubbub.WithUser(r.Context(), u)), nil
}

// mayUse says if the token of a request is not for an eventguid.
func mayUse(r *http.Request, guid string) error {
	if !inPrefix(hubbub.UserFrom(r.Context()), guid) {
		return problem(http.StatusForbidden, "The token is not for the eventguid "+strconv.Quote(clip(guid))+".")
	}
	return nil
}

func (s *System) postTrigger(w http.ResponseWriter, r *http.Request) error {
	b, err := s.body(w, r)
	if err != nil {
		return err
	}
	guid, err := b.text("eventguid")
	if err != nil {
		return err
	}
	if err := s.validGuid(guid); err != nil {
		return err
	}
	if err := mayUse(r, guid); err != nil {
		return err
	}
	n, err := s.Trigger(r.Context(), guid)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, struct {
		Guid      string `json:"eventguid"`
		Listeners int    `json:"listeners"`
	}{guid, n})
}

func (s *System) postSubscribe(w http.ResponseWriter, r *http.Request) error {
	b, err := s.body(w, r)
	if err != nil {
		return err
	}
	var values [4]string
	for i, name := range []string{"eventguid", "eventcookie", "webhook", "secret"} {
		if values[i], err = b.text(name); err != nil {
			return err
		}
	}
	guid, cookie, address := values[0], values[1], values[2]
	if err := s.validGuid(guid); err != nil {
		return err
	}
	if err := mayUse(r, guid); err != nil {
		return err
	}
	user := ""
	if u := hubbub.UserFrom(r.Context()); u != nil {
		user = u.ID
	}
	if err := s.SubscribeWebhook(r.Context(), user, guid, cookie, address, values[3]); err != nil {
		return err
	}
	if ends(cookie) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return writeJSON(w, http.StatusCreated, struct {
		Guid    string `json:"eventguid"`
		Cookie  string `json:"eventcookie"`
		Webhook string `json:"webhook"`
	}{guid, cookie, address})
}

// postPush gives a hint to everybody, or to the user that the body names.
func (s *System) postPush(w http.ResponseWriter, r *http.Request) error {
	user := ""
	if r.ContentLength != 0 {
		b, err := s.body(w, r)
		if err != nil {
			return err
		}
		if user, err = b.text("user"); err != nil {
			return err
		}
	}
	if err := s.push.hint(r.Context(), user); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// body is a JSON object.
type body map[string]any

func (s *System) body(w http.ResponseWriter, r *http.Request) (body, error) {
	most := s.config.Limits.BodyBytes
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, problem(http.StatusRequestEntityTooLarge, "The body has more than "+strconv.FormatInt(most, 10)+" bytes.")
	}
	if err != nil {
		return nil, problem(http.StatusBadRequest, "The body was cut.")
	}
	return parseBody(raw)
}

func parseBody(raw []byte) (body, error) {
	var b body
	if err := json.Unmarshal(raw, &b); err != nil || b == nil {
		return nil, problem(http.StatusBadRequest, "The body is no JSON object.")
	}
	return b, nil
}

// text returns a text member, whatever the case of its name; one that is missing or null is "".
func (b body) text(name string) (string, error) {
	v, has := b[name]
	if !has {
		names := make([]string, 0, len(b))
		for key := range b {
			if strings.EqualFold(key, name) {
				names = append(names, key)
			}
		}
		if len(names) > 0 {
			v = b[slices.Min(names)]
		}
	}
	switch t := v.(type) {
	case nil:
		return "", nil
	case string:
		return t, nil
	}
	return "", problem(http.StatusBadRequest, name+" is no text.")
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(raw)
	return nil
}

// writeProblem answers with the problem that err is, or with 500 for any other error, which only the log hears of.
func (s *System) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*Problem](err)
	if invalid, bad := errors.AsType[*Invalid](err); bad {
		p = problem(http.StatusBadRequest, strings.ToUpper(invalid.Text[:1])+invalid.Text[1:]+".")
	} else if !ok {
		p = problem(http.StatusInternalServerError, "The server could not do it. Its log says why.")
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "relay: request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
	}
	h := w.Header()
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}
