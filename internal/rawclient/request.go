package rawclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Answer is a whole HTTP response.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do sends one request and reads its whole answer. Header may be nil.
func Do(t testing.TB, method, url string, header http.Header, body string) Answer {
	t.Helper()
	a, err := Request(t.Context(), method, url, header, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// client keeps no connections, so that nothing outlives a test.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Request is [Do] for goroutines of a test: it returns its error.
func Request(ctx context.Context, method, url string, header http.Header, body string) (Answer, error) {
	ctx, stop := context.WithTimeout(ctx, Patience)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, string(b)}, err
}

// Negotiated is the answer to a negotiate request.
type Negotiated struct {
	Answer
	UseStatefulReconnect bool
	NegotiateVersion     int
	ConnectionID         string
	ConnectionToken      string
	TokenLifetimeSeconds *int64
	AvailableTransports  []struct {
		Transport       string
		TransferFormats []string
	}
	Error string
}

// Token is what later requests carry as id.
func (n *Negotiated) Token() string {
	if n.ConnectionToken != "" {
		return n.ConnectionToken
	}
	return n.ConnectionID
}

// Negotiate posts to url + "/negotiate" with the query as it stands. The answer must be JSON.
func Negotiate(t testing.TB, url, query string, header http.Header) *Negotiated {
	t.Helper()
	base, own, _ := strings.Cut(url, "?")
	n := &Negotiated{Answer: Do(t, http.MethodPost, base+"/negotiate"+join("?", own, query), header, "")}
	if n.Status != http.StatusOK {
		t.Fatalf("negotiate: status %d, want 200: %s", n.Status, n.Body)
	}
	if err := json.Unmarshal([]byte(n.Body), n); err != nil {
		t.Fatalf("negotiate: %v in %q", err, n.Body)
	}
	return n
}

// join makes a query of its parts, with prefix in front unless there is none.
func join(prefix string, parts ...string) string {
	var all []string
	for _, p := range parts {
		if p != "" {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return prefix + strings.Join(all, "&")
}
