package bench_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// newGateway stands in front of the hub of a server.
func newGateway(t testing.TB, server string) string {
	t.Helper()
	g := gateway.New(gateway.Config{})
	g.AddHub("load", gateway.Hub{URL: server + "/hub"}).
		AddRoute("all", gateway.HubRoute{InvokeMethod: "SendToAll", ReceiveMethod: "Message"}).
		AddRoute("twice", gateway.HubRoute{InvokeMethod: "Twice"}).AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"})
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	for late := time.Now().Add(20 * time.Second); !g.Health()[0].Connected; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the gateway is not connected to the hub")
		}
	}
	return srv.URL
}

// A broadcast through a gateway beside one straight to the hub.
func TestPosts(t *testing.T) {
	t.Parallel()
	hub := newServer(t)
	url := newGateway(t, hub)
	post := url + "/api/Gateway/hub/load/"
	for _, transport := range []string{"websockets", "sse"} {
		r := measured(t, "broadcast", url+"/gatewayhub", "-c", "10", "--rate", "300", "-d", "500ms", "--transport", transport, "--post", post+"all", "--beside", hub+"/hub")
		faultless(t, r)
		for _, x := range r.Targets {
			if f := x.Median; f.Sent != 15 || f.Received != 150 || f.P50 <= 0 {
				t.Errorf("%s: figures %+v, want 15 sent and 150 received", x.Target.Name, f)
			}
		}
		if r.Targets[0].Target.Post != post+"all" || r.Targets[1].Target.Post != "" {
			t.Errorf("the report says %+v and %+v were posted to", r.Targets[0].Target, r.Targets[1].Target)
		}
	}
	r := measured(t, "broadcast", url+"/gatewayhub", "-c", "3", "--rate", "30", "-d", "300ms", "--post", post+"twice", "--beside", url+"/gatewayhub", "--beside-post", post+"fail")
	if doubled, f := r.Targets[0].Median.Doubled, r.Targets[1].Median; doubled != 9 || f.Errors != 3 || f.Received != 0 {
		t.Errorf("%v doubled, want 9; %v errors and %v received, want 3 and none", doubled, f.Errors, f.Received)
	}
	if notes := strings.Join(r.Targets[1].Notes, "\n"); !strings.Contains(notes, "502") {
		t.Errorf("the notes are %q, want the status 502", notes)
	}
}

// What cannot be posted, or where, is said.
func TestPostRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, x := range []struct{ args, want string }{
		{"broadcast --post ftp://x", "want http"},
		{"broadcast --post :", "to post to"},
		{"broadcast --burst 5 --post http://x", "only a broadcast at a rate"},
		{"groups --post http://x", "only a broadcast at a rate"},
	} {
		args := strings.Fields(x.args)
		_, _, err := command(t, append([]string{args[0], server.URL}, args[1:]...)...)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q in it", x.args, err, x.want)
		}
	}
}
