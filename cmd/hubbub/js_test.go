package main

import (
	"bufio"
	"context"
	"encoding/json"
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

// The JavaScript of the Portos document receives what is published over REST.
func TestPortosJavaScript(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", "notifications:publish"))
	cmd := node(t, "portos.mjs", s.url, token)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr logs
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	next := func() bool { // past what the client's own logger says
		for lines.Scan() {
			if !strings.HasPrefix(lines.Text(), "[") {
				return true
			}
		}
		return false
	}
	if !next() || lines.Text() != "subscribed" {
		t.Fatalf("line %q, want subscribed\n%s", lines.Text(), &stderr)
	}
	for _, body := range []string{
		`{"e":"portos.resources.changed","p":{"n":"tickets","a":"created","i":{"i":"9","n":"tickets","v":1},"r":[]}}`, // not wanted
		`{"e":"portos.resources.changed","p":{"n":"devices","a":"updated","i":{"i":"7","n":"devices","v":3},"r":[{"name":"Till"}]}}`,
	} {
		if res, text := s.do(t, "POST", "/api/v1/notifications", token, body); res.StatusCode != 202 {
			t.Fatalf("publish: status %d, want 202: %s", res.StatusCode, text)
		}
	}
	if !next() {
		t.Fatalf("no notification\n%s", &stderr)
	}
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
	err = json.Unmarshal(lines.Bytes(), &n)
	if err != nil || n.E != "portos.resources.changed" || n.P.N != "devices" || n.P.A != 2 || n.P.I.I != "7" || n.P.I.V != 3 || n.P.R[0]["name"] != "Till" {
		t.Errorf("notification %s (%v), want devices 7 updated, version 3", lines.Text(), err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("node: %v\n%s", err, &stderr)
	}
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
		cmd := node(t, "centro.mjs", s.url, token, transport)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr logs
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		wants := func(line string) {
			t.Helper()
			if lines.Scan(); lines.Text() != line {
				t.Errorf("%s: line %q, want %q\n%s", transport, lines.Text(), line, &stderr)
			}
		}
		wants("subscribed " + want)
		for path, body := range map[string]string{"parts/1882709": `{"Version":1}`, "pipelines/8": `{"Status":1}`} { // not wanted
			s.do(t, "POST", "/centro/"+path+"/events", token, body)
		}
		for _, x := range [][3]string{{"parts/1882708", `{"Version":2}`, "resource"}, {"pipelines/7", `{"Status":2}`, "job"}} {
			if res, text := s.do(t, "POST", "/centro/"+x[0]+"/events", token, x[1]); res.StatusCode != 202 {
				t.Fatalf("publish: status %d, want 202: %s", res.StatusCode, text)
			}
			wants(`["` + x[2] + `",` + x[1] + `]`)
		}
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: node: %v\n%s", transport, err, &stderr)
		}
	}
}
