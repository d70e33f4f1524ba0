package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Codes of problems, the errorCode of ProblemDetails.
const (
	ErrorUnauthenticated         = 1
	ErrorUnauthorized            = 2
	ErrorValidationFailed        = 3
	ErrorLicenseExpired          = 4
	ErrorResourceLocked          = 5
	ErrorResourceVersionMismatch = 6
	ErrorDeviceCountExceeded     = 7
)

// Codes of validation errors.
const (
	codeRequired = 1
	codeUnique   = 2
)

// ProblemDetails is the body of every error of the REST endpoints (RFC 9457, with the members of Portos).
type ProblemDetails struct {
	Type      string            `json:"type,omitempty"`
	Title     string            `json:"title,omitempty"`
	Status    int               `json:"status,omitempty"`
	Detail    string            `json:"detail,omitempty"`
	Instance  string            `json:"instance,omitempty"`
	TraceID   string            `json:"traceId,omitempty"`
	ErrorCode int               `json:"errorCode,omitempty"`
	Errors    []ValidationError `json:"errors,omitempty"`
}

// ValidationError says what is wrong with one member of a body.
type ValidationError struct {
	MemberName string `json:"memberName"`
	Message    string `json:"message"`
	// Code is 1 for a member that is missing, 2 for one that must be unique, else nil.
	Code *int `json:"code"`
}

// Error returns the title and what is wrong.
func (p *ProblemDetails) Error() string {
	s := p.Title
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	for _, e := range p.Errors {
		s += ": " + e.MemberName + ": " + e.Message
	}
	return s
}

func problem(status, code int, detail string) *ProblemDetails {
	return &ProblemDetails{
		Type: "https://www.rfc-editor.org/rfc/rfc9110#name-" + anchor(status), Title: http.StatusText(status), Status: status,
		Detail: detail, ErrorCode: code,
	}
}

// anchor names the section of RFC 9110 about a status.
func anchor(status int) string {
	b := []byte(strconv.Itoa(status) + "-" + http.StatusText(status))
	for i, c := range b {
		switch {
		case c == ' ':
			b[i] = '-'
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// invalid is the problem of a body whose values are not right.
func invalid(values ...*badValue) *ProblemDetails {
	p := problem(http.StatusBadRequest, ErrorValidationFailed, "One or more validation errors occurred.")
	for _, v := range values {
		e := ValidationError{MemberName: v.member, Message: v.text}
		if v.code != 0 {
			e.Code = &v.code
		}
		p.Errors = append(p.Errors, e)
	}
	return p
}

func notFound(what, id string) *ProblemDetails {
	return problem(http.StatusNotFound, 0, "There is no "+what+" "+strconv.Quote(clip(id))+".")
}

// writeJSON answers with a JSON value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := encode(v)
	if err != nil { // values of ours always have a JSON form
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}

// writeProblem answers with the problem that err is, or with 500 for any other error, which only the log hears of.
func (s *System) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*ProblemDetails](err)
	if !ok {
		p = problem(http.StatusInternalServerError, 0, "The server could not do it. Its log says why.")
		p.TraceID = newID()
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "notify: request failed", "method", r.Method, "path", r.URL.Path, "trace", p.TraceID, "error", err)
		}
	}
	own := *p
	own.Instance = r.URL.Path
	h := w.Header()
	if own.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	body, _ := encode(own)
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(own.Status)
	w.Write(body)
}

// readBody decodes the JSON object in a body of at most limit bytes, into values, so that errors can name what came.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (map[string]any, error) {
	_, m, err := readRaw(w, r, limit)
	return m, err
}

// readRaw is readBody for those who need the bytes too.
func readRaw(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, map[string]any, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, nil, problem(http.StatusRequestEntityTooLarge, 0, "The body has more than "+strconv.FormatInt(limit, 10)+" bytes.")
	}
	if err != nil {
		return nil, nil, problem(http.StatusBadRequest, 0, "The body cannot be read.")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, nil, invalid(bad("", "the body is no JSON: %v", err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, invalid(bad("", "the body has more than one JSON value"))
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, nil, invalid(bad("", "the body is %s, want an object", show(v)))
	}
	return raw, m, nil
}

// text returns a text member of a body; missing and null are "".
func text(m map[string]any, name string, most int) (string, *badValue) {
	v := member(m, name)
	if v == nil {
		return "", nil
	}
	s, ok := v.(string)
	switch {
	case !ok:
		return "", bad(name, "%s is %s, want a text", name, show(v))
	case len(s) > most:
		return "", bad(name, "%s has %d bytes, want at most %d", name, len(s), most)
	}
	return s, nil
}
