package classic_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ url, want string }{
		{"http://h/Centro?a=b", "want those of a query in ClientOptions.Query"},
		{"ws://h/Centro", "want http://host/path"},
		{"http://h/%zz", "address"},
	} {
		err := dialed(t, x.url, classic.AllTransports).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.url, err, x.want)
		}
	}
	c := dialed(t, "http://h", classic.ForeverFrame)
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no transport") {
		t.Errorf("only forever frames: %v", err)
	}
}

func TestClientNegotiateRefused(t *testing.T) {
	t.Parallel()
	status := func(code int) func(*fake) {
		return func(f *fake) {
			f.on["negotiate"] = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "why", code) }
		}
	}
	answer := func(name, v string) func(*fake) { return func(f *fake) { f.answers[name] = v } }
	for _, x := range []struct {
		name   string
		change func(*fake)
		want   string
		is     func(error) bool
	}{
		{"status 404", status(404), "Error during negotiation request. negotiate: the server answered with status 404 (Not Found): why", func(err error) bool {
			e, ok := errors.AsType[*classic.HTTPError](err)
			return ok && e.Status == 404
		}},
		{"status 405", status(405), "detected a connection attempt to an ASP.NET Core SignalR server", isCore},
		{"core", answer("availableTransports", "[]"), "detected a connection attempt to an ASP.NET Core SignalR server", isCore},
		{"newer", answer("ProtocolVersion", `"2.2"`), "Client version 2.1, server version 2.2.", isVersion},
		{"older", answer("ProtocolVersion", `"1.1"`), "server version 1.1.", isVersion},
		{"no version", answer("ProtocolVersion", `null`), "isn't compatible with the server", isVersion},
		{"error", answer("Error", `"full"`), "Error message received from the server: 'full'.", func(err error) bool {
			_, ok := errors.AsType[*classic.ServerError](err)
			return ok
		}},
		{"no token", answer("ConnectionToken", `""`), "answer without connection token", nil},
		{"no JSON", answer("Url", `<`), "want the JSON of a SignalR server", nil},
		{"round", func(f *fake) {
			f.answers["RedirectUrl"] = `"/signalr"`
		}, "redirected more than 100 times", nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, x.change)
			c := dialed(t, f.url, classic.AllTransports)
			err := c.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), x.want) || x.is != nil && !x.is(err) {
				t.Errorf("start: %v, want %q", err, x.want)
			}
			if c.State() != hubbub.Disconnected {
				t.Errorf("state %v, want disconnected", c.State())
			}
			if got := f.requests(); got[len(got)-1] != "GET negotiate" {
				t.Errorf("requests %v, want no more than negotiate", got)
			}
		})
	}
}

func isCore(err error) bool { return errors.Is(err, classic.ErrCoreServer) }

func isVersion(err error) bool {
	_, ok := errors.AsType[*classic.VersionError](err)
	return ok
}

// Every request carries the same parameters, headers and query, in the order of the .NET client.
func TestClientRequests(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		f := newFake(t, func(f *fake) {
			f.on["send"] = func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, `{"I":%q}`, idOf(f.t, r.PostForm.Get("data")))
			}
			f.stream = func(command string, s *fakeSay) {
				if command == "connect" {
					s.write(`{"C":"d-1,2|3","G":"g+/=","S":1,"M":[]}`)
				}
				for command == "connect" && s.heard != nil {
					call, ok := <-s.heard
					if !ok {
						break
					}
					s.write(fmt.Sprintf(`{"I":%q}`, idOf(s.t, call)))
				}
				if tr != classic.LongPolling || command != "connect" {
					<-s.done
				}
			}
		})
		c := dialed(t, f.url+"/Centro", tr, func(o *classic.ClientOptions) {
			o.Header = http.Header{"X-App": {"1"}}
			o.Query = url.Values{"app": {"a b"}}
			o.Token = func(context.Context) (string, error) { return "tok", nil }
			o.CloseTimeout = 300e6
		})
		p := c.Hub("Résource Hub")
		c.Hub("Job")
		started(t, c)
		if err := p.Invoke(t.Context(), nil, "Nothing"); err != nil {
			t.Fatal(err)
		}
		if tr == classic.LongPolling {
			f.await("poll")
		}
		_ = c.Close() // the script never ends the stream
		f.mu.Lock()
		defer f.mu.Unlock()
		commands := map[string]bool{}
		for _, r := range f.seen {
			command := strings.TrimPrefix(r.URL.Path, "/Centro/signalr/")
			commands[command] = true
			want := "clientProtocol=2.1"
			if command != "negotiate" {
				want += "&transport=" + tr.String()
			}
			want += "&connectionData=%5B%7B%22Name%22%3A%22R%C3%A9source%20Hub%22%7D%2C%7B%22Name%22%3A%22Job%22%7D%5D"
			if command != "negotiate" {
				want += "&connectionToken=to%2Bk%2Fe%3Dn"
			}
			want += "&app=a+b"
			if command == "poll" {
				want += "&messageId=d-1%2C2%7C3&groupsToken=g%2B%2F%3D"
			}
			if r.URL.RawQuery != want {
				t.Errorf("%s?%s\nwant %s", command, r.URL.RawQuery, want)
			}
			if r.Header.Get("X-App") != "1" || r.Header.Get("Authorization") != "Bearer tok" {
				t.Errorf("%s: headers %v", command, r.Header)
			}
		}
		for _, must := range []string{"negotiate", "connect", "start", "abort"} {
			if !commands[must] {
				t.Errorf("no request %s", must)
			}
		}
	})
}

func TestClientRedirect(t *testing.T) {
	t.Parallel()
	target := newFake(t, nil)
	first := newFake(t, func(f *fake) {
		f.answers = map[string]string{"ProtocolVersion": `"2.0"`, "RedirectUrl": fmt.Sprintf("%q", target.url+"/other/?x=1"), "AccessToken": `"jwt"`}
	})
	c := dialed(t, first.url, classic.WebSockets, func(o *classic.ClientOptions) {
		o.Query = url.Values{"own": {"1"}}
		o.Header = http.Header{"Authorization": {"mine"}}
		o.CloseTimeout = 300e6
	})
	started(t, c)
	_ = c.Close() // the script never ends the stream
	target.mu.Lock()
	defer target.mu.Unlock()
	for _, r := range target.seen {
		q := r.URL.Query()
		if !strings.HasPrefix(r.URL.Path, "/other/") || q.Get("x") != "1" || q.Has("own") || r.Header.Get("Authorization") != "Bearer jwt" {
			t.Errorf("%s with %v, want the query and the token of the redirect", r.URL, r.Header)
		}
	}
}

func TestClientFallback(t *testing.T) {
	t.Parallel()
	mute := func(names string) func(*fake) {
		return func(f *fake) {
			f.answers["TransportConnectTimeout"] = "2.0" // what is not mute has to answer in that time on a busy machine
			whole := f.stream
			f.stream = func(command string, s *fakeSay) {
				if strings.Contains(names, s.r.URL.Query().Get("transport")) {
					s.write(`{}`) // words, but not those
					<-s.done
					return
				}
				if s.r.URL.Query().Get("transport") == "longPolling" && command == "connect" {
					s.write(fakeInit)
					return
				}
				whole(command, s)
			}
		}
	}
	for _, x := range []struct {
		mute string
		want classic.Transport
	}{
		{"", classic.WebSockets},
		{"webSockets", classic.ServerSentEvents},
		{"webSockets serverSentEvents", classic.LongPolling},
	} {
		t.Run(x.mute, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, mute(x.mute))
			c := dialed(t, f.url, classic.AllTransports, quickEnd)
			started(t, c)
			if c.Transport() != x.want {
				t.Errorf("%q is mute: %v, want %v", x.mute, c.Transport(), x.want)
			}
			_ = c.Close() // the script never ends the stream
		})
	}
	f := newFake(t, mute("webSockets serverSentEvents longPolling"))
	err := dialed(t, f.url, classic.AllTransports).Start(t.Context())
	e, ok := errors.AsType[*classic.TransportsError](err)
	if !ok || len(e.Failed) != 3 || e.Failed[2].Transport != classic.LongPolling || !strings.Contains(err.Error(), "timed out trying to connect") {
		t.Errorf("all mute: %v, want what happened to three transports", err)
	}
	f = newFake(t, func(f *fake) { f.answers["TryWebSockets"] = "false" })
	if err := dialed(t, f.url, classic.WebSockets).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "none of the transports") {
		t.Errorf("no WebSockets: %v", err)
	}
}

// quickEnd lets Close not wait for a server that does not end streams.
func quickEnd(o *classic.ClientOptions) { o.CloseTimeout = 200e6 }

// A server that refuses to start is final: no other transport is tried, and it is told.
func TestClientStartRefused(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "Error during start request. Stopping the connection."},
		{"other words", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"Response":"later"}`) },
			`Invalid start response: '{"Response":"later"}'. Stopping the connection.`},
	} {
		f := newFake(t, func(f *fake) { f.on["start"] = x.answer })
		err := dialed(t, f.url, classic.AllTransports, quickEnd).Start(t.Context())
		if _, ok := errors.AsType[*classic.StartError](err); !ok || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		if got := fmt.Sprint(f.requests()); got != "[GET negotiate GET connect GET start POST abort]" {
			t.Errorf("%s: requests %s", x.name, got)
		}
	}
}

// What comes before the server has started the connection is kept; servers before 1.4 start with connect.
func TestClientBeforeStarted(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.3", "1.4", "2.1"} {
		release := make(chan struct{})
		f := newFake(t, func(f *fake) {
			f.answers["ProtocolVersion"] = fmt.Sprintf("%q", version)
			f.stream = func(_ string, s *fakeSay) {
				s.write(`{"C":"a","M":[{"H":"REFHUB","M":"msg","A":["all","1"]}]}`)
				s.write(`{"C":"b","S":1,"M":[{"H":"REFHUB","M":"msg","A":["all","2"]}]}`)
				s.write(`{"C":"c","M":[{"H":"Other","M":"msg","A":["all","x"]},{"H":"REFHUB","M":"msg","A":["all","3"]}]}`)
				close(release)
				<-s.done
			}
			f.on["start"] = func(w http.ResponseWriter, _ *http.Request) {
				<-release
				fmt.Fprint(w, `{ "Response": "started" }`)
			}
		})
		c := dialed(t, f.url, classic.WebSockets, quickEnd)
		got := messages(c.Hub("RefHub"))
		started(t, c)
		for i := range 3 {
			if m := within(t, got, "a message"); m != fmt.Sprintf("all:%d", i+1) {
				t.Errorf("%s: message %d is %q", version, i+1, m)
			}
		}
		_ = c.Close() // the script never ends the stream
		if starts := strings.Contains(fmt.Sprint(f.requests()), "start"); starts != (version != "1.3") {
			t.Errorf("%s: start was sent: %v", version, starts)
		}
	}
}

func TestClientStartCancelled(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) { f.stream = func(_ string, s *fakeSay) { <-s.done } })
	ctx, cancel := context.WithCancel(t.Context())
	c := dialed(t, f.url, classic.AllTransports)
	over := make(chan error, 1)
	go func() { over <- c.Start(ctx) }()
	f.await("connect")
	cancel()
	if err := within(t, over, "the end of Start"); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v, want context.Canceled", err)
	}
	go func() { over <- c.Start(t.Context()) }()
	f.await("connect")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := within(t, over, "the end of Start"); err == nil {
		t.Error("Start went on after Close")
	}
}

func TestClientHubAfterStart(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	c := dialed(t, f.url, classic.WebSockets, quickEnd)
	c.Hub("A")
	started(t, c)
	defer func() {
		if recover() != error(classic.ErrStarted) {
			t.Error("Hub of a new name did not panic with ErrStarted")
		}
		_ = c.Close() // the script never ends the stream
	}()
	c.Hub("a")
	c.Hub("B")
}
