package hubtest_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
	"github.com/hubbub-go/hubbub/signalr"
)

type line struct {
	ItemName string
	Price    float64 `json:"price"`
}

// TestExpectCompares sends arguments over both protocols and expects others.
func TestExpectCompares(t *testing.T) {
	t.Parallel()
	list := func(v ...any) []any { return v }
	at := time.Date(2024, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	for _, tt := range []struct {
		name       string
		send, want []any
		json, pack string // the difference that is told, in each protocol; "" is none
	}{
		{name: "no arguments"},
		{name: "text", send: list("a<b"), want: list("a<b")},
		{name: "another text", send: list("a<b"), want: list("a>b"), json: `argument 1: "a<b", want "a>b"`, pack: `argument 1: "a<b", want "a>b"`},
		{name: "too few", send: list(1), want: list(1, 2), json: "1 arguments, want 2", pack: "1 arguments, want 2"},
		{name: "too many", send: list(1, 2), want: list(1), json: "2 arguments, want 1", pack: "2 arguments, want 1"},
		{name: "numbers of other types", send: list(1, uint8(2), 3.0, 1e3), want: list(1.0, 2, int64(3), 1000)},
		{name: "digits that floats have not", send: list(uint64(math.MaxUint64)), want: list(uint64(math.MaxUint64 - 1)),
			json: "argument 1: 18446744073709551615, want 18446744073709551614", pack: "argument 1: 18446744073709551615, want 18446744073709551614"},
		{name: "nil and nothing", send: list(nil), want: list(false), json: "argument 1: null, want false", pack: "argument 1: null, want false"},
		{name: "number and text", send: list(1), want: list("1"), json: `argument 1: 1, want "1"`, pack: `argument 1: 1, want "1"`},
		{name: "list and number", send: list([]int{1}), want: list(1), json: "argument 1: [1], want 1", pack: "argument 1: [1], want 1"},
		{name: "list and nil", send: list([]int{1}), want: list(nil), json: "argument 1: [1], want null", pack: "argument 1: [1], want null"},
		{name: "same struct", send: list(line{"x", 2}), want: list(line{"x", 2})},
		{name: "anything", send: list("id-7", 1), want: list(hubtest.Any, 1)},
		{name: "member", send: list(map[string]any{"a": map[string]any{"b": 1, "c": true}}), want: list(map[string]any{"a": map[string]any{"b": 2, "c": true}}),
			json: "argument 1.a.b: 1, want 2", pack: "argument 1.a.b: 1, want 2"},
		{name: "member too few", send: list(map[string]int{"a": 1}), want: list(map[string]int{"a": 1, "b": 2}),
			json: "argument 1.b: missing, want 2", pack: "argument 1.b: missing, want 2"},
		{name: "member too many", send: list(map[string]int{"a": 1, "b": 2}), want: list(map[string]int{"a": 1}),
			json: "argument 1.b: 2, want no such member", pack: "argument 1.b: 2, want no such member"},
		{name: "element", send: list([]int{1, 2, 3}), want: list([]int{1, 5, 3}), json: "argument 1[1]: 2, want 5", pack: "argument 1[1]: 2, want 5"},
		{name: "length", send: list([]int{1, 2}), want: list([]int{1, 2, 3}), json: "argument 1: 2 elements, want 3", pack: "argument 1: 2 elements, want 3"},
		{name: "bytes, time and duration", send: list([]byte("xyz"), at, 90*time.Second), want: list([]byte("xyz"), at, 90*time.Second)},
		{name: "another duration", send: list(90 * time.Second), want: list(91 * time.Second),
			json: `argument 1: "00:01:30", want "00:01:31"`, pack: "argument 1: 900000000, want 910000000"},
		{name: "what JSON names", send: list(line{"x", 2.5}), want: list(json.RawMessage(`{"price":2.50,"itemName":"x"}`)),
			pack: "?"},
		{name: "maps with other keys", send: list(map[int]any{1: map[int]bool{2: true}}, []map[int]int{{3: 4}}),
			want: list(map[int]any{1: map[int]bool{2: true}}, []map[int]int{{3: 4}})},
		{name: "another key", send: list(map[int]int{1: 2}), want: list(map[int]int{2: 2}),
			json: "argument 1.2: missing, want 2", pack: "argument 1.2: missing, want 2"},
		{name: "exponents", send: list(json.RawMessage("1e99999999")), want: list(json.RawMessage("2e99999999")),
			json: "argument 1: 1e99999999, want 2e99999999", pack: "?"},
		{name: "what cannot be sent", send: list(1), want: list(make(chan int)), json: "?", pack: "?"},
	} {
		for protocol, difference := range map[string]string{"json": tt.json, "messagepack": tt.pack} {
			t.Run(tt.name+"/"+protocol, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					h := newHub(hubbub.Options{})
					c := hubtest.ConnectAs(t, h, nil, &signalr.ClientOptions{Protocol: protocol})
					if err := h.All().Send(t.Context(), "Draw", tt.send...); err != nil {
						t.Fatal(err)
					}
					got := failure(t, func(t testing.TB) { hubtest.Expect(t, c, "Draw", tt.want...) })
					switch {
					case difference == "?" && got != "":
					case (difference == "") != (got == ""), !strings.Contains(got, difference):
						t.Errorf("Expect: %q, want the difference %q", got, difference)
					}
				})
			})
		}
	}
}

func TestExpectTellsWhatCame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(hubbub.Options{})
		c := hubtest.Connect(t, h, "ann")
		send := func(target string, args ...any) {
			t.Helper()
			if err := h.All().Send(t.Context(), target, args...); err != nil {
				t.Fatal(err)
			}
		}
		send("One", 1)
		send("Two", line{"x", 2})
		send("Three")
		send("Four", nil, "4")
		hubtest.Expect(t, c, "One", 1)
		got := failure(t, func(t testing.TB) { hubtest.Expect(t, c, "Two", line{"y", 2}, hubtest.Any) })
		wantText(t, "failure", got,
			`hubtest: ann:`,
			`    want: Two({"itemName":"y","price":2}, hubtest.Any)`,
			`    came: Two({"itemName":"x","price":2})`,
			`          1 arguments, want 2`,
			`    before it came:`,
			`        One(1)`,
			`    after it came:`,
			`        Three()`,
			`        Four(null, "4")`)
		got = failure(t, func(t testing.TB) { hubtest.Receive(t, c, "Five") })
		wantText(t, "failure", got,
			`hubtest: ann:`, `    want: Five(...)`, `    came: Three()`, `    before it came:`, `        One(1)`, `    after it came:`, `        Four(null, "4")`)
		got = failure(t, func(t testing.TB) { hubtest.ExpectNothing(t, c) })
		wantText(t, "failure", got,
			`hubtest: ann:`, `    want: nothing`, `    came: Four(null, "4")`, `    before it came:`, `        One(1)`)
		begin := time.Now()
		got = failure(t, func(t testing.TB) { hubtest.Expect(t, c, "Six", "6") })
		wantText(t, "failure", got,
			`hubtest: ann:`, `    want: Six("6")`, `    came: nothing in 5s; the client is connected`, `    before it came:`, `        One(1)`)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("Expect gave up after %v, want 5s", took)
		}
	})
}

func TestFailureIsNoNovel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(hubbub.Options{})
		c := hubtest.Connect(t, h, "ann")
		for i := range 30 {
			if err := h.All().Send(t.Context(), "N", i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			hubtest.Expect(t, c, "N", i)
		}
		got := failure(t, func(t testing.TB) { hubtest.Expect(t, c, "N", 100) })
		lines := strings.Split(got, "\n")
		if n := len(lines); n != 4+1+8+1+8+1 || lines[5] != "        N(2)" || lines[n-1] != "        and 11 more" {
			t.Errorf("failure of %d lines:\n%s\nwant N(2) to N(9) before, and 11 more after", n, got)
		}
	})
}

func TestExpectAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(hubbub.Options{})
		h.Handle("Leave me", hubbub.Action0(func(ctx context.Context) error {
			err := hubbub.CallerFrom(ctx).Send(ctx, "Bye")
			hubbub.CallerFrom(ctx).Abort()
			return err
		}))
		ann, bob := hubtest.Connect(t, h, "ann"), hubtest.Connect(t, h, "bob")
		_ = ann.Send(t.Context(), "Leave me")
		hubtest.Expect(t, ann, "Bye")
		got := failure(t, func(t testing.TB) { hubtest.Expect(t, ann, "More") })
		wantText(t, "failure", got, `hubtest: ann:`, `    want: More()`, `    came: nothing, and the connection has ended: in order`,
			`    before it came:`, `        Bye()`)
		bob.Link().Down()
		got = failure(t, func(t testing.TB) { hubtest.Expect(t, bob, "More") })
		if !strings.Contains(got, "the connection has ended: ") || !strings.Contains(got, "reset by peer") {
			t.Errorf("failure %q, want it to say that the connection was reset", got)
		}

		bob.Link().Up()
		if err := bob.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		go func() { _ = h.User("bob").Send(context.Background(), "Again") }()
		hubtest.Expect(t, bob, "Again")
	})
}

func TestReceive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(hubbub.Options{})
		c := hubtest.Connect(t, h, "ann")
		if err := h.All().Send(t.Context(), "Added", line{"x", 2}); err != nil {
			t.Fatal(err)
		}
		var l line
		if err := hubtest.Receive(t, c, "Added").Decode(0, &l); err != nil || l != (line{"x", 2}) {
			t.Errorf("%+v, %v, want x for 2", l, err)
		}
	})
}

func TestExpectNothingNeedsABubble(t *testing.T) {
	t.Parallel()
	c := hubtest.Connect(t, newHub(hubbub.Options{}), "ann")
	got := failure(t, func(t testing.TB) { hubtest.ExpectNothing(t, c) })
	if !strings.Contains(got, "outside of synctest.Test nobody can know that nothing comes") {
		t.Errorf("failure %q, want it to say why", got)
	}
}

// TestHandlersTakeFirst: what has a handler does not reach Expect.
func TestHandlersTakeFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(hubbub.Options{})
		c := hubtest.Connect(t, h, "ann")
		var heard []string
		remove := c.On("ReceiveMessage", hubbub.Action2(func(_ context.Context, _, text string) error {
			heard = append(heard, text)
			return nil
		}))
		_ = c.Send(t.Context(), "SendMessage", "ann", "one")
		hubtest.ExpectNothing(t, c)
		remove()
		_ = c.Send(t.Context(), "SendMessage", "ann", "two")
		hubtest.Expect(t, c, "ReceiveMessage", "ann", "two")
		if len(heard) != 1 || heard[0] != "one" {
			t.Errorf("the handler heard %q, want one", heard)
		}
	})
}
