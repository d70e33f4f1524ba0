package console_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// TestCommands compares what every command prints, for people and for machines, with golden files.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	for _, x := range []struct {
		name  string
		args  []string
		stdin string
		code  int
	}{
		{"negotiate", []string{"negotiate", s.url}, "", 0},
		{"negotiate stateful", []string{"negotiate", s.url, "--stateful"}, "", 0},
		{"send", []string{"send", s.url, "Say", "hello"}, "", 0},
		{"invoke", []string{"invoke", s.url, "Echo", `{"a": [1, 2.50, "x"], "big": 9007199254740993}`}, "", 0},
		{"invoke text", []string{"invoke", s.url, "Kind", "42", "--string"}, "", 0},
		{"invoke word", []string{"invoke", s.url, "Kind", "{no json}"}, "", 0},
		{"invoke messagepack", []string{"invoke", s.url, "Echo", `{"a":[1,2.5,null,true]}`, "--protocol", "messagepack"}, "", 0},
		{"invoke long", []string{"invoke", s.url, "Echo", `{"first":"` + strings.Repeat("x", 60) + `","second":["` + strings.Repeat("y", 60) + `"]}`}, "", 0},
		{"invoke error", []string{"invoke", s.url, "Fail"}, "", 14},
		{"invoke unknown", []string{"invoke", s.url, "NoSuch", "1"}, "", 14},
		{"stream", []string{"stream", s.url, "Count", "3"}, "", 0},
		{"stream count", []string{"stream", s.url, "Count", "1000000", "--count", "2"}, "", 0},
		{"stream error", []string{"stream", s.url, "Echo", "x"}, "", 14},
		{"upload", []string{"upload", s.url, "Join", ", "}, "ann\n\n\"42\"\n42\n", 0},
		{"upload text", []string{"upload", s.url, "Join", "-", "--string"}, "42\n\n{}\n", 0},
		{"listen", []string{"listen", s.url, "--send", `Say "hello there"`, "--count", "1"}, "", 0},
		{"listen target", []string{"listen", s.url, "said", "--send", "Ask Nobody", "--send", "Say x", "--count", "1"}, "", 14},
		{"respond", []string{"respond", s.url, "Confirm=true", "--for", "1ms"}, "", 0},
		{"ping", []string{"ping", s.url, "--count", "2", "--interval", "0s", "--transport", "longpolling"}, "", 0},
		{"trace", []string{"trace", s.url, "--send", "Echo x", "--send", "Fail"}, "", 14},
		{"connect", []string{"connect", s.url}, "invoke Echo {\"a\": 1}\n\n  invoke Echo 'two words'\ninvoke Fail\nsend\nbogus\ninvoke 'open\nstatus\nhelp\nquit\ninvoke Echo never\n", 0},
		{"connect stream", []string{"connect", s.url}, "stream Count 2\n", 0},
	} {
		for _, format := range []string{"", " json"} {
			t.Run(x.name+format, func(t *testing.T) {
				t.Parallel()
				args := x.args
				if format != "" {
					args = append(args[:len(args):len(args)], "--json")
				}
				r := &run{stdin: strings.NewReader(x.stdin)}
				code := r.do(args...)
				if code != x.code {
					t.Errorf("exit code %d, want %d", code, x.code)
				}
				if format != "" {
					for l := range strings.Lines(r.out.String()) {
						var object map[string]any
						if err := json.Unmarshal([]byte(l), &object); err != nil || object["event"] == nil {
							t.Errorf("line %q: %v, want a JSON object with an event", l, err)
						}
					}
				}
				out := r.out.String()
				if strings.HasPrefix(x.name, "trace") {
					out = ordered(out)
				}
				golden(t, x.name+format, stable(fmt.Sprintf("%s--- standard error\n%s", out, r.errors.String()), s.url))
			})
		}
	}
}

// ordered is a trace without the lines that come when they please: that of the connection, and the server's goodbye.
func ordered(trace string) string {
	var kept strings.Builder
	for l := range strings.Lines(trace) {
		if !strings.Contains(l, `"event":"connected"`) && !strings.Contains(l, "◀── Close") && !(strings.Contains(l, `"received"`) && strings.Contains(l, `"Close"`)) {
			kept.WriteString(l)
		}
	}
	return kept.String()
}

// TestEveryTransport calls over every transport and protocol that is named on the command line.
func TestEveryTransport(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	for _, flags := range []string{"--transport websockets", "--transport ws --skip-negotiation", "--transport sse", "--transport longpolling",
		"--transport lp --protocol messagepack", "--transport sse,lp", "--stateful", "-H X-One:1 --token secret", "--token-cmd echo"} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"invoke", s.url, "Echo", "x"}, strings.Fields(flags)...)
			if flags == "--token-cmd echo" {
				args[len(args)-1] = "echo a-token"
			}
			r := &run{}
			if code := r.do(args...); code != 0 || r.out.String() != "\"x\"\n" {
				t.Errorf("exit code %d, output %q\n%s", code, r.out.String(), r.errors.String())
			}
		})
	}
}

// TestRespond lets the server ask, and reads what it got.
func TestRespond(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, &signalr.Options{}, nil)
	r := &run{}
	done := make(chan int, 1)
	go func() {
		done <- r.do("respond", s.url, "Confirm=true", "Position={\"x\":1}", "Sign!no key", "--count", "4")
	}()
	id := waitFor(t, r, `connection ([A-Za-z0-9_-]+)`)
	for target, want := range map[string]string{"Confirm": "true", "position": `{"x":1}`, "Sign": "", "Other": ""} {
		var got json.RawMessage
		err := s.hub.Client(id).Invoke(t.Context(), &got, target, 7)
		switch {
		case want != "" && (err != nil || string(got) != want):
			t.Errorf("%s: got %s, %v, want %s", target, got, err, want)
		case target == "Sign" && (err == nil || !strings.Contains(err.Error(), "no key")):
			t.Errorf("%s: got %s, %v, want the error no key", target, got, err)
		case target == "Other" && err == nil:
			t.Errorf("%s: got %s, want an error", target, got)
		}
	}
	if code := <-done; code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, r.errors.String())
	}
}

// TestReconnect ends the connection of a listener, which comes back and subscribes again.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	r := &run{}
	done := make(chan int, 1)
	go func() { done <- r.do("listen", s.url, "--send", "Say subscribed", "--count", "2") }()
	waitFor(t, r, `Said "subscribed"`)
	if n := s.hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "moving", true); n != 1 {
		t.Fatalf("%d connections closed, want 1", n)
	}
	if code := <-done; code != 0 || strings.Count(r.out.String(), `Said "subscribed" 1 null`) != 2 {
		t.Errorf("exit code %d, output %q, want two calls", code, r.out.String())
	}
	for _, want := range []string{"connected to", "reconnecting: the server closed the connection with the following error: moving", "reconnected to"} {
		if !strings.Contains(r.errors.String(), want) {
			t.Errorf("it says %q, want %q in it", r.errors.String(), want)
		}
	}
}

// TestTrace decodes what is on the wire in MessagePack too.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	r := &run{}
	if code := r.do("trace", s.url, "--protocol", "messagepack", "--transport", "lp", "--send", `Echo {"a":[1,"b"]}`, "--send", "Fail", "--token", "secret"); code != 14 {
		t.Errorf("exit code %d, want 14", code)
	}
	for _, want := range []string{`handshake        {"protocol":"messagepack","version":1}`, `Invocation       [1,{},"1","Echo",[{"a":[1,"b"]}],[]]`,
		`Completion       [3,{},"1",3,{"a":[1,"b"]}]`, "DELETE http://"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("want %s in\n%s", want, r.out.String())
		}
	}
	if strings.Contains(r.out.String(), "secret") || strings.Contains(r.out.String(), "id=A") {
		t.Errorf("a secret is printed:\n%s", r.out.String())
	}
}

// TestColours prints none where nobody looks.
func TestColours(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	r := &run{}
	if code := r.do("negotiate", s.url); code != 0 || strings.Contains(r.out.String()+r.errors.String(), "\x1b[") {
		t.Errorf("exit code %d, output %q, want no colours", code, r.out.String())
	}
}
