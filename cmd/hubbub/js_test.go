package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// node returns the command that runs a script of testdata with Node and the packages of conformance/js.
func node(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := os.Stat("../../conformance/js/node_modules/@microsoft/signalr"); err != nil {
		t.Fatalf("the npm packages are missing: node conformance/js/install.js installs them (%v)", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, "node", append([]string{"testdata/" + script}, args...)...)
}

// script is a Node script that is talked with, a line at a time.
type script struct {
	t      *testing.T
	in     io.WriteCloser
	lines  *bufio.Scanner
	cmd    *exec.Cmd
	stderr logs
}

// talk starts a script.
func talk(t *testing.T, name string, args ...string) *script {
	t.Helper()
	s := &script{t: t, cmd: node(t, name, args...)}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.lines, s.cmd.Stderr = in, bufio.NewScanner(out), &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// next returns the next line, "" at the end.
func (s *script) next() string {
	s.lines.Scan()
	return s.lines.Text()
}

// wants wants a line that begins so.
func (s *script) wants(prefix string) {
	s.t.Helper()
	if line := s.next(); line == "" || !strings.HasPrefix(line, prefix) {
		s.t.Fatalf("%v: line %q, want %q\n%s", s.cmd.Args[1:], line, prefix, &s.stderr)
	}
}

// end closes the standard input and wants the script to end well.
func (s *script) end() {
	s.t.Helper()
	s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("node %v: %v\n%s", s.cmd.Args[1:], err, &s.stderr)
	}
}

// The JavaScript of the Portos document receives what is published over REST.
func TestPortosJavaScript(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", "notifications:publish"))
	js := talk(t, "portos.mjs", s.url, token)
	next := func() string { // past what the client's own logger says
		for {
			if line := js.next(); !strings.HasPrefix(line, "[") {
				return line
			}
		}
	}
	if line := next(); line != "subscribed" {
		t.Fatalf("line %q, want subscribed\n%s", line, &js.stderr)
	}
	for _, body := range []string{
		`{"e":"portos.resources.changed","p":{"n":"tickets","a":"created","i":{"i":"9","n":"tickets","v":1},"r":[]}}`, // not wanted
		`{"e":"portos.resources.changed","p":{"n":"devices","a":"updated","i":{"i":"7","n":"devices","v":3},"r":[{"name":"Till"}]}}`,
	} {
		if res, text := s.do(t, "POST", "/api/v1/notifications", token, body); res.StatusCode != 202 {
			t.Fatalf("publish: status %d, want 202: %s", res.StatusCode, text)
		}
	}
	line := next()
	var n struct {
		E string
		P struct {
			N string
			A int
			I struct {
				I string
				V int
			}
			R []map[string]string
		}
	}
	err := json.Unmarshal([]byte(line), &n)
	if err != nil || n.E != "portos.resources.changed" || n.P.N != "devices" || n.P.A != 2 || n.P.I.I != "7" || n.P.I.V != 3 || n.P.R[0]["name"] != "Till" {
		t.Errorf("notification %s (%v), want devices 7 updated, version 3\n%s", line, err, &js.stderr)
	}
	js.end()
}

// The page works in a browser: on a phone, in light and dark, over every transport, and within its own policy.
func TestPageInChromium(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	if out, err := node(t, "page.mjs", s.url, "demo", s.password(t)).CombinedOutput(); err != nil {
		t.Errorf("page: %v\n%s", err, out)
	}
}

// The real JavaScript client of classic SignalR hears what is published, over each transport that Node has.
func TestCentroJavaScript(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", "catalog:publish"))
	for transport, want := range map[string]string{
		"webSockets": "webSockets", "serverSentEvents": "serverSentEvents", "longPolling": "longPolling", "auto": "webSockets",
	} {
		js := talk(t, "centro.mjs", s.url, token, transport)
		js.wants("subscribed " + want)
		for path, body := range map[string]string{"parts/1882709": `{"Version":1}`, "pipelines/8": `{"Status":1}`} { // not wanted
			s.do(t, "POST", "/centro/"+path+"/events", token, body)
		}
		for _, x := range [][3]string{{"parts/1882708", `{"Version":2}`, "resource"}, {"pipelines/7", `{"Status":2}`, "job"}} {
			if res, text := s.do(t, "POST", "/centro/"+x[0]+"/events", token, x[1]); res.StatusCode != 202 {
				t.Fatalf("publish: status %d, want 202: %s", res.StatusCode, text)
			}
			js.wants(`["` + x[2] + `",` + x[1] + `]`)
		}
		js.end()
	}
}
