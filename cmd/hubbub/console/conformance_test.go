package console_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/signalr"
)

// conformanceServer builds and runs the server that has the hubs of the suite, and returns its address.
func conformanceServer(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../conformance/server")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the conformance server: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "--url", "http://127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	})
	text, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(text), "Now listening on: ")
	if err != nil || !ok {
		t.Fatalf("the conformance server says %q, %v, want its address", text, err)
	}
	return url
}

// TestConformance runs the whole suite against the server of this module: every check passes, the strict ones too.
func TestConformance(t *testing.T) {
	t.Parallel()
	r := &run{}
	code := r.do("conformance", conformanceServer(t), "--strict")
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	if code != 0 || !strings.HasSuffix(lines[len(lines)-1], " passed") || len(lines) < 170 {
		t.Errorf("exit code %d, %d lines, want 0 and a line for each check", code, len(lines))
	}
	for _, l := range lines[:len(lines)-1] {
		if !strings.HasPrefix(l, "ok ") {
			t.Error(l)
		}
	}
}

// TestConformanceFails checks a server that does not have what the suite wants.
func TestConformanceFails(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	signalr.MapHub(s.mux, "/testhub", s.hub, &signalr.Options{Transports: signalr.LongPolling})
	url := strings.TrimSuffix(s.url, "/hub")
	for _, format := range []string{"", " json"} {
		args := []string{"conformance", url, "--only", "^negotiate/(version 1|version 7|no WebSockets)$|^sentence/unknown|item before"}
		if format != "" {
			args = append(args, "--json")
		}
		r := &run{}
		if code := r.do(args...); code != 17 {
			t.Errorf("exit code %d, want 17", code)
		}
		golden(t, "conformance"+format, stable(r.out.String()+"--- standard error\n"+r.errors.String(), s.url))
	}
	r := &run{}
	if code := r.do("conformance", url, "--list"); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	golden(t, "conformance list", r.out.String())
	seen := map[string]bool{}
	for l := range strings.Lines(r.out.String()) {
		if seen[l] {
			t.Errorf("two checks have the name %s", l)
		}
		seen[l] = true
	}
}
