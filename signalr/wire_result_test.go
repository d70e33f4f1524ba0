package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
)

// asking has methods that ask their caller.
func asking(h *hubbub.Hub) {
	h.Handle("Ask", hubbub.Func1(func(ctx context.Context, q string) (string, error) {
		return hubbub.Invoke[string](ctx, hubbub.CallerFrom(ctx), "Q", q)
	}))
	h.Handle("AskNumber", hubbub.Func0(func(ctx context.Context) (int32, error) {
		return hubbub.Invoke[int32](ctx, hubbub.CallerFrom(ctx), "N")
	}))
	h.Handle("AskBriefly", hubbub.Func0(func(ctx context.Context) (string, error) {
		ctx, stop := context.WithTimeout(ctx, time.Millisecond)
		defer stop()
		return hubbub.Invoke[string](ctx, hubbub.CallerFrom(ctx), "Q", "quick")
	}))
	h.Handle("AskOther", hubbub.Func1(func(ctx context.Context, id string) (string, error) {
		return hubbub.Invoke[string](ctx, hubbub.CallerFrom(ctx).Hub().Client(id), "Q", "other")
	}))
	h.Handle("Order", hubbub.Action0(func(ctx context.Context) error {
		return hubbub.CallerFrom(ctx).Invoke(ctx, nil, "Do")
	}))
}

// question takes a question out of what the client hears and returns its id.
func question(t *testing.T, c *rawclient.Conn, target, args string) string {
	t.Helper()
	r := c.Next()
	rest, ok := strings.CutPrefix(r, `{"type":1,"invocationId":"`)
	id, rest, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || rest != `,"target":"`+target+`","arguments":`+args+`}` || !strings.HasPrefix(id, "s") {
		t.Fatalf("record %s, want the question %s", r, target)
	}
	return id
}

// TestResultAnswers: every answer that a client can give, over every transport and protocol, without detailed errors.
func TestResultAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: asking})
	const failed = "An unexpected error occurred invoking '%s' on the server. HubException: "
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		noNumber := "Error trying to deserialize result to Int32. The JSON value could not be converted to System.Int32. Path: $ | LineNumber: 0 | BytePositionInLine: 3."
		nullNumber := strings.Replace(noNumber, "InLine: 3", "InLine: 4", 1)
		if way.Protocol == "messagepack" {
			noNumber = "Error trying to deserialize result to Int32. Deserializing object of the `Int32` type for 'argument' failed."
			nullNumber = noNumber
		}
		c := s.connect(t, rawclient.Options{Way: way})
		for i, tc := range []struct {
			call, args, target, asked string
			answer                    string // members behind the id
			want                      string
		}{
			{"Ask", `["x"]`, "Q", `["x"]`, `"result":"yes"`, `"result":"yes"`},
			{"Ask", `["x"]`, "Q", `["x"]`, `"error":"no!"`, `"error":"` + fmt.Sprintf(failed, "Ask") + `no!"`},
			{"Ask", `["x"]`, "Q", `["x"]`, ``, `"error":"` + fmt.Sprintf(failed, "Ask") + `Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."`},
			{"AskNumber", `[]`, "N", `[]`, `"result":7`, `"result":7`},
			{"AskNumber", `[]`, "N", `[]`, `"result":"x"`, `"error":"` + fmt.Sprintf(failed, "AskNumber") + noNumber + `"`},
			{"AskNumber", `[]`, "N", `[]`, `"result":null`, `"error":"` + fmt.Sprintf(failed, "AskNumber") + nullNumber + `"`},
			{"Order", `[]`, "Do", `[]`, ``, `"result":null`},
			{"Order", `[]`, "Do", `[]`, `"result":{"any":"thing"}`, `"result":null`},
		} {
			c.Send(fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"%s","arguments":%s}`, i, tc.call, tc.args))
			id := question(t, c, tc.target, tc.asked)
			answer := `{"type":3,"invocationId":"` + id + `"}`
			if tc.answer != "" {
				answer = strings.TrimSuffix(answer, "}") + "," + tc.answer + "}"
			}
			c.Send(answer)
			c.Expect(fmt.Sprintf(`{"type":3,"invocationId":"%d",%s}`, i, tc.want))
			c.Send(answer) // an answer that comes twice is nobody's
			c.ExpectNothing(fence, fenced)
		}
	})
}

// TestResultGivenUp: the server stops waiting, and the late answer is ignored.
func TestResultGivenUp(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: asking})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"1","target":"AskBriefly","arguments":[]}`)
		id := question(t, c, "Q", `["quick"]`)
		c.Expect(`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'AskBriefly' on the server. HubException: Invocation canceled by the server."}`)
		c.Send(`{"type":3,"invocationId":"` + id + `","result":"late"}`)
		c.ExpectNothing(fence, fenced)
	})
}

// TestResultNobody: asking a connection that is not there, or that goes while it is asked.
func TestResultNobody(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{EnableDetailedErrors: true}, methods: asking})
	c := s.connect(t, rawclient.Options{})
	const failed = `"error":"An unexpected error occurred invoking 'AskOther' on the server. IOException: Connection '`
	c.Send(`{"type":1,"invocationId":"1","target":"AskOther","arguments":["nobody"]}`)
	c.Expect(`{"type":3,"invocationId":"1",` + failed + `nobody' does not exist."}`)
	for _, way := range rawclient.Transports {
		other := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"2","target":"AskOther","arguments":["` + other.ConnectionID + `"]}`)
		question(t, other, "Q", `["other"]`)
		other.Close()
		c.Expect(`{"type":3,"invocationId":"2",` + failed + other.ConnectionID + `' disconnected."}`)
	}
	_, err := hubbub.Invoke[string](t.Context(), s.hub.Client("nobody"), "Q")
	if !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("invoke on nobody: %v, want ErrClosed", err)
	}
}

// TestResultStranger: only the connection that was asked may answer. A stranger who does is closed, and the question stays open.
func TestResultStranger(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{EnableDetailedErrors: true}, methods: asking})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c, stranger := s.connect(t, rawclient.Options{Way: way}), s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"1","target":"Ask","arguments":["x"]}`)
		id := question(t, c, "Q", `["x"]`)
		stranger.Send(`{"type":3,"invocationId":"` + id + `","result":"lie"}`)
		stranger.Expect(`{"type":7,"error":"Connection closed with an error. InvalidOperationException: Connection ID '` + stranger.ConnectionID +
			`' is not valid for invocation ID '` + id + `'.","allowReconnect":true}`)
		stranger.ExpectEnd(1000)
		c.Send(`{"type":3,"invocationId":"` + id + `","result":"truth"}`)
		c.Expect(`{"type":3,"invocationId":"1","result":"truth"}`)
	})
}

// TestResultGivesPermitBack: while a method waits for its client, the client's next calls run.
func TestResultGivesPermitBack(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: asking})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"1","target":"Ask","arguments":["x"]}`, fence)
		var id string
		for range 2 {
			r := c.Next()
			if r != fenced {
				id = strings.Split(r, `"`)[5]
			}
		}
		c.Send(`{"type":3,"invocationId":"` + id + `","result":"yes"}`)
		c.Expect(`{"type":3,"invocationId":"1","result":"yes"}`)
	})
}
