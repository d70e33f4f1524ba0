package classic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
)

// uuid is a Guid of .NET.
type uuid string

// record is what the method Obj of the dialogues returns and EchoObj takes.
type record struct {
	ID   int `json:"Id"`
	Name string
	When time.Time
	Blob []byte
	Day  int
	Opt  *int
	D    float64
	M    json.Number
	Map  map[string]int
	G    uuid
	T    time.Duration
}

// dialogueHub has the methods of the hub that the real server had in the dialogues.
func dialogueHub(_ *server, h *hubbub.Hub) {
	caller := hubbub.CallerFrom
	h.Handle("Null", hubbub.Func0(func(context.Context) (*int, error) { return nil, nil }))
	h.Handle("Async", hubbub.Action0(func(context.Context) error { return nil }))
	h.Handle("AsyncInt", hubbub.Func0(func(context.Context) (int, error) { return 7, nil }))
	h.Handle("ThrowHub", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("hub boom") }))
	h.Handle("ThrowHubData", hubbub.Action0(func(context.Context) error {
		return &hubbub.Error{Message: "hub boom", Data: struct {
			Code int
			Why  string
		}{42, "because"}}
	}))
	h.Handle("Over", hubbub.Raw(func(_ context.Context, args hubbub.Args) (any, error) {
		if args.Len() == 2 {
			return "two", nil
		}
		n := 0
		err := args.Decode(0, &n)
		return fmt.Sprint("one:", n), err
	}))
	h.Handle("Obj", hubbub.Func0(func(context.Context) (record, error) {
		return record{ID: 1, Name: "<b>&é\u2028'\"", When: time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC), Blob: []byte{1, 2, 3}, Day: 5, D: 1,
			M: "2.50", Map: map[string]int{"Key": 1}, G: "00000000-0000-0000-0000-000000000000", T: 90 * time.Second}, nil
	}))
	h.Handle("EchoObj", hubbub.Func1(func(_ context.Context, r record) (record, error) {
		if r.M == "" {
			r.M = "0.0"
		}
		return r, nil
	}))
	h.Handle("renamed", hubbub.Func0(func(context.Context) (string, error) { return "renamed-ok", nil }))
	h.Handle("ToCallerNoArgs", hubbub.Action0(func(ctx context.Context) error { return caller(ctx).Send(ctx, "Ping") }))
	h.Handle("ToAll", hubbub.Action1(func(ctx context.Context, v string) error { return h.All().Send(ctx, "Msg", "all", v) }))
	h.Handle("ToConn", hubbub.Action2(func(ctx context.Context, id, v string) error { return h.Client(id).Send(ctx, "Msg", "conn", v) }))
	h.Handle("StateCall", hubbub.Action0(func(ctx context.Context) error {
		hubbub.StateFrom(ctx).Set("color", "green")
		return caller(ctx).Send(ctx, "Msg", "state", "x")
	}))
	h.Handle("StateOnly", hubbub.Func0(func(ctx context.Context) (*string, error) {
		s := hubbub.StateFrom(ctx)
		var color *string
		_, err := s.Get("color", &color)
		s.Set("color", "red")
		s.Set("count", 5)
		return color, err
	}))
}

// told is what a frame tells: an answer as it is, of an envelope its messages and whether the groups have changed. How
// messages are put together in envelopes is up to the server.
func told(t *testing.T, raw string) []string {
	t.Helper()
	var f frame
	if err := json.Unmarshal([]byte(raw), &f); err != nil {
		t.Fatalf("frame %q: %v", raw, err)
	}
	if f.C == nil {
		return []string{raw}
	}
	var list []string
	if f.G != nil {
		list = append(list, "groups")
	}
	for _, m := range f.M {
		list = append(list, string(m))
	}
	return list
}

// TestDialogue plays what a client said to the real server, and expects what that answered, byte for byte. An answer and an
// envelope of one step may change places.
func TestDialogue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/dialogues/websocket.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(c *config) { c.setup = dialogueHub })
	c, ch := s.connect("webSockets")
	steps := strings.Split(string(text), "\n> ")[1:]
	for _, step := range steps {
		lines := strings.Split(strings.TrimSpace(step), "\n")
		message := strings.ReplaceAll(strings.Replace(lines[0], `"M":"State"`, `"M":"StateOnly"`, 1), "$ID", c.id)
		ch.write(message)
		var got, want []string
		for _, line := range lines[1:] {
			want = append(want, told(t, strings.TrimPrefix(line, "< "))...)
		}
		for len(got) < len(want) {
			got = append(got, told(t, ch.read().raw)...)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s\ngot\n%s\nwant\n%s", message, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(steps) < 45 {
		t.Errorf("played %d steps, want all", len(steps))
	}
}
