package console_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// binaries is where the binary is built; TestMain removes it.
var binaries string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hubbub-console-")
	if err != nil {
		return "", err
	}
	binaries = dir
	path := filepath.Join(dir, "hubbub")
	out, err := exec.Command("go", "build", "-o", path, "github.com/hubbub-go/hubbub/cmd/hubbub").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// binary is the path of the built binary, built once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBuiltBinary runs the binary against what a new user runs into: one line, and an exit code of its own.
func TestBuiltBinary(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	guarded := func(status int) string {
		return serve(t, nil, nil, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		}).url
	}
	hanging := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hanging }))
	secure := httptest.NewUnstartedServer(s.mux)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + gone.Addr().String() + "/hub"
	gone.Close()
	t.Cleanup(func() { close(hanging); silent.Close(); secure.Close(); mute.Close() })
	page := "<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>"
	for _, x := range []struct {
		name, url string
		flags     []string
		code      int
		line      string
	}{
		{"not found", strings.Replace(s.url, "/hub", "/nothing", 1), nil, 10, "there is no SignalR hub at URL (status 404): check the path"},
		{"page", answering(t, 200, page), nil, 10, "there is no SignalR hub at URL: what answers there is something else"},
		{"JSON of something else", answering(t, 200, `{"status":"up"}`), nil, 10, "there is no SignalR hub at URL: what answers there is something else"},
		{"no scheme", "localhost:5000/hub", nil, 10, `the address "URL" cannot be used: want a scheme in front, such as http://localhost:5000/hub`},
		{"classic", answering(t, 200, classicAnswer), []string{"--dialect", "core"}, 11, "URL is an ASP.NET SignalR server, which speaks the older protocol; this needs an ASP.NET Core SignalR hub"},
		{"no token", guarded(401), nil, 12, "URL wants an access token (status 401): give one with --token or --token-cmd"},
		{"bad token", guarded(401), []string{"--token", "x"}, 12, "URL refuses the access token (status 401): it may have expired, or be for another server"},
		{"forbidden", guarded(403), []string{"--token", "x"}, 12, "URL knows who you are and says no (status 403)"},
		{"refused connection", nobody, nil, 13, "nobody listens at HOST: the connection was refused"},
		{"unknown host", "http://nobody.invalid/hub", nil, 13, "the host nobody.invalid is not known: check the name in the address"},
		{"silent server", silent.URL + "/hub", []string{"--timeout", "100ms"}, 15, "no answer from URL within 100ms"},
		{"silent host", "http://" + mute.Addr().String() + "/hub", []string{"--timeout", "100ms"}, 15, "no answer from URL within 100ms"},
		{"untrusted certificate", secure.URL + "/hub", nil, 18, "the certificate of HOST is not trusted: x509: certificate signed by unknown authority; --insecure accepts it"},
		{"TLS asked of a plain server", strings.Replace(s.url, "http:", "https:", 1), nil, 10, "HOST does not speak TLS: try http:// in the address"},
		{"plain asked of a TLS server", strings.Replace(secure.URL, "https:", "http:", 1) + "/hub", nil, 10, "HOST speaks TLS: try https:// in the address"},
	} {
		for _, command := range []string{"connect", "invoke", "listen", "negotiate", "ping", "doctor"} {
			t.Run(x.name+"/"+command, func(t *testing.T) {
				t.Parallel()
				args := append([]string{command, x.url}, x.flags...)
				if command == "invoke" {
					args = append(args, "Echo", "1")
				}
				cmd := exec.Command(binary(t), args...)
				cmd.Env = []string{"HOME=" + t.TempDir()}
				var out, says bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &says
				cmd.Stdin = strings.NewReader("")
				err := cmd.Run()
				exit, ok := errors.AsType[*exec.ExitError](err)
				if !ok || exit.ExitCode() != x.code {
					t.Errorf("it ended with %v, want exit code %d", err, x.code)
				}
				host := strings.TrimSuffix(strings.SplitN(x.url, "//", 2)[len(strings.SplitN(x.url, "//", 2))-1], "/hub")
				want := "hubbub: " + strings.NewReplacer("URL", x.url, "HOST", host).Replace(x.line) + "\n"
				if says.String() != want || out.Len() > 0 {
					t.Errorf("it says\n%s%s, want\n%s", out.String(), says.String(), want)
				}
			})
		}
	}
}

// TestBuiltPipe talks to a hub through a pipe.
func TestBuiltPipe(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	cmd := exec.Command(binary(t), "connect", s.url)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	cmd.Stdin = strings.NewReader("invoke Echo 1\nsend Say hello\ninvoke Echo 2\nstream Count 2\n")
	var says bytes.Buffer
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, says.String())
	}
	got := strings.Join(strings.Fields(string(out)), " ")
	if !strings.HasPrefix(got, "1 ") || !strings.HasSuffix(got, "0 1") || !strings.Contains(got, `"hello"`) {
		t.Errorf("it prints %q, want the results in order", out)
	}
	if _, err := os.Stat(filepath.Join(cmd.Env[0][len("HOME="):], ".local")); err == nil {
		t.Errorf("a script has left a history")
	}
}

// TestCompletionScripts asks the shells that are there whether they can read their scripts.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ shell, mark string }{{"bash", "complete -o default"}, {"zsh", "#compdef hubbub"}, {"fish", "complete -c hubbub"}, {"powershell", "Register-ArgumentCompleter"}} {
		t.Run(x.shell, func(t *testing.T) {
			t.Parallel()
			script, err := exec.Command(binary(t), "completion", x.shell).Output()
			if err != nil || !bytes.Contains(script, []byte(x.mark)) {
				t.Fatalf("%v, a script of %d bytes, want one with %q", err, len(script), x.mark)
			}
			if path, err := exec.LookPath(x.shell); err == nil && x.shell != "powershell" {
				cmd := exec.Command(path, "-n")
				cmd.Stdin = bytes.NewReader(script)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s -n: %v\n%s", x.shell, err, out)
				}
			}
		})
	}
	out, err := exec.Command(binary(t), "__complete", "invoke", "http://h/x", "--transport", "").Output()
	if err != nil || !strings.HasPrefix(string(out), "websockets\nsse\nlongpolling\n") {
		t.Errorf("completing --transport gives %q (%v), want the transports", out, err)
	}
}
