package ticket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scopes of the REST endpoints.
const (
	ScopeTickets = "tickets"
	ScopeObjects = "objects"
)

// Paths are what [Queue.Handler] answers to; one that ends in a slash stands for all below it.
func Paths() []string {
	return []string{"/realtime/tickets", "/realtime/tickets/", "/realtime/objects/"}
}

// Handler returns the REST endpoints of tickets and objects, under the [Paths]. guard wraps the endpoints that need a scope,
// [ScopeTickets] or [ScopeObjects], in what checks it; nil means that nothing is checked.
func (q *Queue) Handler(guard func(scope string, h http.Handler) http.Handler) http.Handler {
	if guard == nil {
		guard = func(_ string, h http.Handler) http.Handler { return h }
	}
	tickets, objects := http.NewServeMux(), http.NewServeMux()
	tickets.Handle("/realtime/tickets", q.methods(methods{"GET": q.getTickets, "POST": q.postTicket}))
	tickets.Handle("/realtime/tickets/{id}", q.methods(methods{"GET": q.getTicket}))
	tickets.Handle("/realtime/tickets/{id}/retry", q.methods(methods{"POST": q.postRetry}))
	objects.Handle("/realtime/objects/{id}", q.methods(methods{"GET": q.getObject, "PUT": q.putObject, "DELETE": q.deleteObject}))
	none := q.methods(nil)
	tickets.Handle("/", none)
	objects.Handle("/", none)
	mux := http.NewServeMux()
	for _, path := range Paths() {
		if strings.Contains(path, "objects") {
			mux.Handle(path, guard(ScopeObjects, objects))
		} else {
			mux.Handle(path, guard(ScopeTickets, tickets))
		}
	}
	mux.Handle("/", none)
	return mux
}

// methods are the endpoints of a path, by method; an error becomes a problem.
type methods map[string]func(w http.ResponseWriter, r *http.Request) error

func (q *Queue) methods(m methods) http.Handler {
	var allow []string
	for name := range m {
		allow = append(allow, name)
	}
	slices.Sort(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := m[r.Method]
		var err error
		switch {
		case m == nil:
			err = &problem{http.StatusNotFound, "there is nothing at this address"}
		case e == nil:
			w.Header().Set("Allow", strings.Join(allow, ", "))
			err = &problem{http.StatusMethodNotAllowed, "the method is " + clip(r.Method) + ", want " + strings.Join(allow, " or ")}
		default:
			err = e(w, r)
		}
		if err != nil {
			q.writeProblem(w, r, err)
		}
	})
}

// problem is an error with a status of HTTP.
type problem struct {
	status int
	detail string
}

func (p *problem) Error() string { return p.detail }

func badRequest(format string, args ...any) error {
	return &problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func (q *Queue) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*problem](err)
	switch {
	case ok:
	case errors.Is(err, ErrNoTicket):
		p = &problem{http.StatusNotFound, from(err, ErrNoTicket)}
	case errors.Is(err, ErrNoObject):
		p = &problem{http.StatusNotFound, from(err, ErrNoObject)}
	case errors.Is(err, ErrNotFailed):
		p = &problem{http.StatusConflict, from(err, ErrNotFailed)}
	case errors.Is(err, ErrInvalid):
		p = &problem{http.StatusBadRequest, from(err, ErrInvalid)}
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return // nobody reads it
	default:
		q.log.ErrorContext(r.Context(), "ticket: answer a request", "method", r.Method, "path", r.URL.Path, "error", err)
		p = &problem{http.StatusInternalServerError, "the server could not do that"}
	}
	body, _ := encode(map[string]any{"title": http.StatusText(p.status), "status": p.status, "detail": p.detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	w.Write(body)
}

// from is the text of an error without what comes before that of a known one in it: what the server was doing.
func from(err, known error) string {
	text := err.Error()
	return text[max(strings.Index(text, known.Error()), 0):]
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	p, err := encode(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(p)
	return nil
}

// body is a ticket as REST has it.
type body struct {
	ID                 string  `json:"id"`
	ViewModel          string  `json:"viewModel"`
	RootID             string  `json:"rootId"`
	Priority           *int    `json:"priority"`
	ExecuteEarliest    *string `json:"executeEarliest"`
	KeepReceiptMinutes int     `json:"keepReceiptMinutes"`
	CreateTime         *string `json:"createTime"`
	Done               *string `json:"done"`
	DeleteTime         *string `json:"deleteTime"`
	Error              *string `json:"error"`
	Attempts           int     `json:"attempts"`
	State              string  `json:"state"`
}

func bodyOf(t *Ticket) body {
	b := body{ID: t.ID, ViewModel: t.ViewModel, RootID: t.RootID, Priority: t.Priority, ExecuteEarliest: timeText(t.ExecuteEarliest),
		KeepReceiptMinutes: *t.KeepReceiptMinutes, CreateTime: timeText(t.CreateTime), Done: timeText(t.Done),
		DeleteTime: timeText(t.DeleteTime), Attempts: t.Attempts, State: t.State.String()}
	if t.Error != "" {
		b.Error = &t.Error
	}
	return b
}

func timeText(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.Format("2006-01-02T15:04:05.000Z07:00"))
}

// parseTime reads a time of ISO 8601; without an offset it is UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, badRequest("executeEarliest %q, want a time such as 2026-01-02T15:04:05Z", clip(s))
}

// read returns the body of a request.
func (q *Queue) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	p, err := io.ReadAll(http.MaxBytesReader(w, r.Body, q.config.MaxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", q.config.MaxBody)}
	}
	if err != nil {
		return nil, badRequest("the body could not be read")
	}
	return p, nil
}

func (q *Queue) postTicket(w http.ResponseWriter, r *http.Request) error {
	p, err := q.read(w, r)
	if err != nil {
		return err
	}
	var in struct {
		ViewModel, RootID  *string
		Priority           *int
		ExecuteEarliest    *string
		KeepReceiptMinutes *int
	}
	if err := json.Unmarshal(p, &in); err != nil { // names match without regard to case
		return badRequest("the body is no ticket: %v", err)
	}
	if bytes.Equal(bytes.TrimSpace(p), []byte("null")) {
		return badRequest("the body is null, want a ticket")
	}
	t := Ticket{Priority: in.Priority, KeepReceiptMinutes: in.KeepReceiptMinutes}
	if in.ViewModel != nil {
		t.ViewModel = *in.ViewModel
	}
	if in.RootID != nil {
		t.RootID = *in.RootID
	}
	if in.ExecuteEarliest != nil && *in.ExecuteEarliest != "" {
		if t.ExecuteEarliest, err = parseTime(*in.ExecuteEarliest); err != nil {
			return err
		}
	}
	if t, err = q.Create(r.Context(), t); err != nil {
		return err
	}
	w.Header().Set("Location", "/realtime/tickets/"+t.ID)
	return writeJSON(w, http.StatusCreated, bodyOf(&t))
}

// getTickets answers with tickets in the order in which they were made. Where there are more, next is the value of the query
// parameter after that continues.
func (q *Queue) getTickets(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		return err
	}
	tickets, more, err := q.List(r.Context(), f)
	if errors.Is(err, ErrNoTicket) {
		return badRequest("after: %v", err)
	}
	if err != nil {
		return err
	}
	list := struct {
		Items []body `json:"items"`
		Next  string `json:"next,omitempty"`
	}{Items: make([]body, len(tickets))}
	for i := range tickets {
		list.Items[i] = bodyOf(&tickets[i])
	}
	if more {
		list.Next = tickets[len(tickets)-1].ID
	}
	return writeJSON(w, http.StatusOK, list)
}

// parseFilter reads the query of a list; names of parameters match without regard to case, empty ones are as good as none, and
// states may come several times or with commas between them.
func parseFilter(query url.Values) (Filter, error) {
	var f Filter
	for name, values := range query {
		for _, v := range values {
			if v == "" {
				continue
			}
			switch strings.ToLower(name) {
			case "state":
				for s := range strings.SplitSeq(v, ",") {
					state, err := ParseState(strings.TrimSpace(s))
					if err != nil {
						return Filter{}, badRequest("%v", err)
					}
					if !slices.Contains(f.States, state) {
						f.States = append(f.States, state)
					}
				}
			case "viewmodel":
				f.ViewModel = v
			case "rootid":
				f.RootID = v
			case "after":
				f.After = v
			case "limit":
				n, err := strconv.Atoi(v)
				if err != nil || n < 1 || n > MaxList {
					return Filter{}, badRequest("limit %q, want 1 to %d", clip(v), MaxList)
				}
				f.Limit = n
			}
		}
	}
	if err := errors.Join(checkText("viewModel", f.ViewModel), checkText("rootId", f.RootID)); err != nil {
		return Filter{}, err
	}
	return f, nil
}

func (q *Queue) getTicket(w http.ResponseWriter, r *http.Request) error {
	t, err := q.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, bodyOf(&t))
}

func (q *Queue) postRetry(w http.ResponseWriter, r *http.Request) error {
	t, err := q.Retry(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, bodyOf(&t))
}

func (q *Queue) getObject(w http.ResponseWriter, r *http.Request) error {
	attributes, err := q.Object(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, attributes)
}

func (q *Queue) putObject(w http.ResponseWriter, r *http.Request) error {
	p, err := q.read(w, r)
	if err != nil {
		return err
	}
	attributes, err := decodeAttributes(bytes.NewReader(p))
	if err != nil {
		return badRequest("the body is no JSON object: %v", err)
	}
	if err := q.PutObject(r.Context(), r.PathValue("id"), attributes); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (q *Queue) deleteObject(w http.ResponseWriter, r *http.Request) error {
	if err := q.DeleteObject(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
