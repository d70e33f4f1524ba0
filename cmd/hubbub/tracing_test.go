package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// collector takes what the binary sends of a trace.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	parents map[string]string // of the spans of a trace, by id
	names   map[string]string
	service string
	token   string
}

func newCollector(t *testing.T, trace string) *collector {
	c := &collector{parents: make(map[string]string), names: make(map[string]string)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var sent struct {
			ResourceSpans []struct {
				Resource   json.RawMessage
				ScopeSpans []struct {
					Spans []struct{ TraceID, SpanID, ParentSpanID, Name string }
				}
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.token = r.Header.Get("Authorization")
		for _, resource := range sent.ResourceSpans {
			c.service = string(resource.Resource)
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					if s.TraceID == trace {
						c.parents[s.SpanID], c.names[s.SpanID] = s.ParentSpanID, s.Name
					}
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// Each span of a purchase reaches the collector, in one trace through all services, the last ones when the binary stops.
func TestTraces(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // it has no such signal to send
	}
	const trace, client, purchase = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00000000-0000-4000-8000-000000000002"
	c := newCollector(t, trace)
	p := launch(t, []string{"HUBBUB_TRACING_ENDPOINT=" + c.URL, "HUBBUB_TRACING_HEADERS={Authorization: hush}"}, "serve", "--listen", "127.0.0.1:0")
	m := readyLine.FindStringSubmatch(p.line)
	if m == nil {
		t.Fatalf("line %q\n%s", p.line, p.stderr)
	}
	admin := strings.TrimSpace(must(t, nil, "token", "--data", filepath.Join(p.dir, "hubbub-data"), "--user", "admin@play.com"))
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	do := func(method, path, body, parent string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, m[1]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		if parent != "" {
			r.Header.Set("Traceparent", parent)
		}
		res, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= 300 {
			t.Fatalf("%s %s: status %d, %s (%v)", method, path, res.StatusCode, text, err)
		}
		return string(text)
	}
	until := func(path, text string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(do("GET", path, "", ""), text); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: want %s\n%s", path, text, p.stderr)
			}
		}
	}
	var item struct{ ID string }
	if err := json.Unmarshal([]byte(do("POST", "/catalog-svc/items", `{"name":"Potion","description":"of a test","price":5}`, "")), &item); err != nil {
		t.Fatal(err)
	}
	until("/trading-svc/store", item.ID)
	do("POST", "/trading-svc/purchase", fmt.Sprintf(`{"itemId":%q,"quantity":1,"idempotencyId":%q}`, item.ID, purchase), "00-"+trace+"-"+client+"-01")
	until("/trading-svc/purchase/status/"+purchase, "Completed")
	p.signal(t)
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "hush" || !strings.Contains(c.service, `{"key":"service.name","value":{"stringValue":"hubbub"}}`) {
		t.Errorf("header Authorization %q, resource %s", c.token, c.service)
	}
	seen := make(map[string]string)
	for id, name := range c.names {
		parent := c.names[c.parents[id]]
		if c.parents[id] == client {
			parent = "the client"
		}
		seen[name] = parent
	}
	for name, parent := range map[string]string{
		"POST /purchase": "the client", "process inventory GrantItems": "POST /purchase", "process trading InventoryItemsGranted": "process inventory GrantItems",
		"process identity DebitGil": "process trading InventoryItemsGranted", "process trading GilDebited": "process identity DebitGil",
		"process inventory DeliverItems": "process trading GilDebited", "process trading InventoryItemsDelivered": "process inventory DeliverItems",
	} {
		if seen[name] != parent {
			t.Errorf("%s is of %q, want %q", name, seen[name], parent)
		}
	}
}
