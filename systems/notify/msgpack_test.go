package notify_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubbub-go/hubbub/systems/notify"
)

// TestMessagePack subscribes, fails and receives over the other protocol: whole numbers stay whole, and errors name the value.
func TestMessagePack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+notify.HubPath+"?access_token="+s.token("waiter", "PDA"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	send := func(record []byte) {
		t.Helper()
		if err := ws.Write(ctx, websocket.MessageBinary, record); err != nil {
			t.Fatal(err)
		}
	}
	var rest []byte
	read := func() {
		t.Helper()
		_, data, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, data...)
	}
	next := func() []any {
		t.Helper()
		for {
			for len(rest) == 0 {
				read()
			}
			size, n := binary.Uvarint(rest)
			for n <= 0 || len(rest) < n+int(size) {
				read()
				size, n = binary.Uvarint(rest)
			}
			var m []any
			if err := msgpack.Unmarshal(rest[n:n+int(size)], &m); err != nil {
				t.Fatal(err)
			}
			rest = rest[n+int(size):]
			if fmt.Sprint(m[0]) != "6" { // a ping
				return m
			}
		}
	}
	invoke := func(id string, payload any) []any {
		t.Helper()
		body, err := msgpack.Marshal([]any{1, map[string]string{}, id, "Subscribe", []any{payload}, []string{}})
		if err != nil {
			t.Fatal(err)
		}
		send(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		return next()
	}
	send([]byte(`{"protocol":"messagepack","version":1}` + "\x1e"))
	for len(rest) < 3 {
		read()
	}
	rest = rest[3:] // {} and the record separator
	got := invoke("1", map[string]any{"e": notify.ResourcesChanged, "r": []any{map[string]any{"n": "x", "a": []any{1}}}})
	if !strings.Contains(fmt.Sprint(got), "action is the number 1, want created") {
		t.Errorf("a bad action: %v", got)
	}
	if got := invoke("2", nil); !strings.Contains(fmt.Sprint(got), "payload is null") {
		t.Errorf("no payload: %v", got)
	}
	got = invoke("3", map[string]any{"e": notify.ResourcesChanged, "r": []any{map[string]any{"n": "tickets", "a": []any{"created"}}}})
	if fmt.Sprint(got) != "[3 map[] 3 3 <nil>]" {
		t.Errorf("completion: %v", got)
	}
	if _, err := s.PublishResource(ctx, "tickets", notify.Created, "t", 7, map[string]any{"price": 1.5, "n": -3}); err != nil {
		t.Fatal(err)
	}
	got = next()
	arg := got[4].([]any)[0].(map[string]any)
	p := arg["p"].(map[string]any)
	if got[3] != "OnEvent" || arg["e"] != notify.ResourcesChanged || arg["r"] != nil || fmt.Sprintf("%T %v", p["a"], p["a"]) != "int8 1" ||
		fmt.Sprint(p["i"]) != "map[i:t n:tickets v:7]" || fmt.Sprint(p["r"]) != "[map[n:-3 price:1.5]]" {
		t.Errorf("event: %v", got)
	}
}
