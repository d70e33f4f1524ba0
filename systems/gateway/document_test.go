package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// document is what users read.
func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var scripts = regexp.MustCompile("(?s)```javascript\n(.*?)```")

// TestJavaScriptOfTheDocument runs what docs/gateway.md says, with another address.
func TestJavaScriptOfTheDocument(t *testing.T) {
	t.Parallel()
	down := newDownstream(t, buildDownstream(t), gateway.Core).start()
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		h := down.hub()
		h.ReceiveKey = "a-secret"
		g.AddHub("chatservice", h).
			AddRoute("room", gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage"}).
			AddRoute("ops", gateway.HubRoute{InvokeMethod: "Say", ReceiveMethod: "Alarm", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops"}).
			AddRoute("mine", gateway.HubRoute{ReceiveMethod: "Note", BroadcastType: gateway.BroadcastIndividual, Unwrap: true})
	}).connected()
	modules, err := filepath.Abs("../../conformance/js")
	if err != nil {
		t.Fatal(err)
	}
	where, err := json.Marshal(filepath.ToSlash(modules) + "/")
	if err != nil {
		t.Fatal(err)
	}
	script := "import { createRequire } from \"node:module\";\nconst signalR = createRequire(" + string(where) + ")(\"@microsoft/signalr\");\n"
	for _, block := range scripts.FindAllStringSubmatch(document(t), -1) {
		script += strings.ReplaceAll(block[1], "http://127.0.0.1:8080", s.url)
	}
	script += "console.log(\"subscribed\");\nprocess.stdin.on(\"end\", () => connection.stop()).resume();\n"
	file := filepath.Join(t.TempDir(), "document.mjs")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	says := func(want ...string) { // in any order: what a hub says may come after the end of the call
		t.Helper()
		for range want {
			for lines.Scan() && strings.HasPrefix(lines.Text(), "[") { // the client's own log
			}
			i := slices.Index(want, lines.Text())
			if i < 0 {
				t.Fatalf("line %q, want one of %q\n%s", lines.Text(), want, &stderr)
			}
			want = slices.Delete(slices.Clone(want), i, i+1)
		}
	}
	says("John Hi", "subscribed")
	s.post("chatservice/ops", `["Alarm","fire"]`, 200, "")
	says("alarm fire")
	s.post("chatservice/ops", `["Note","milk"]`, 200, "")
	says("note milk")
	stdin.Close()
	if err := cmd.Wait(); err != nil || t.Failed() {
		t.Errorf("node: %v\n%s", err, &stderr)
	}
}

// asBefore answers whatever fails with 500, as the original does.
func asBefore(next gateway.Handler) gateway.Handler {
	return func(w http.ResponseWriter, r *http.Request, a *gateway.Access) {
		answer := httptest.NewRecorder() // of an answer that is not a stream
		next(answer, r, a)
		status := answer.Code
		if status < 200 || status > 299 {
			status = http.StatusInternalServerError
			answer.Header().Set("Content-Type", "application/json")
			answer.Body.Reset()
			fmt.Fprintf(answer.Body, `{"error":"Response status code does not indicate success: %d."}`, answer.Code)
			answer.Header().Del("Content-Length")
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		w.Write(answer.Body.Bytes())
	}
}

// TestFilterOfTheDocument: what docs/gateway.md offers to those who want the statuses of the original.
func TestFilterOfTheDocument(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("document_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, function, _ := strings.Cut(string(source), "\n// asBefore ")
	function, _, _ = strings.Cut(function, "\n}\n")
	if !strings.Contains(document(t), "```go\n// asBefore "+function+"\n}\n```") {
		t.Error("docs/gateway.md has another filter")
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			http.Error(w, "there is none", http.StatusNotFound)
			return
		}
		w.Header().Set("X-Answer", "yes")
		fmt.Fprint(w, "fine")
	}))
	defer backend.Close()
	s := newServer(t, gateway.Config{Guard: gateway.Guard{Filters: []gateway.Filter{asBefore}}}, func(g *gateway.Gateway) {
		g.AddAPI("a", gateway.API{BaseURLs: []string{backend.URL}}).AddRoute("fine", gateway.Route{Path: "fine"}).AddRoute("none", gateway.Route{Path: "none"})
		g.AddHub("h", gateway.Hub{URL: "http://127.0.0.1:1/hub"}).AddRoute("r", gateway.HubRoute{InvokeMethod: "M"})
	})
	if status, header, body := s.do("GET", "/api/Gateway/a/fine", ""); status != 200 || body != "fine" || header.Get("X-Answer") != "yes" {
		t.Errorf("status %d, body %q, want 200 and fine", status, body)
	}
	for path, was := range map[string]string{"GET /api/Gateway/a/none": "404", "POST /api/Gateway/hub/h/r": "503"} {
		verb, path, _ := strings.Cut(path, " ")
		want := `{"error":"Response status code does not indicate success: ` + was + `."}`
		if status, _, body := s.do(verb, path, "[]"); status != 500 || body != want {
			t.Errorf("%s: status %d, body %q, want 500 and %q", path, status, body, want)
		}
	}
}
