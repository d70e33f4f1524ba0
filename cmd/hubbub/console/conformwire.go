package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// transportChecks are about what the transports look like on the wire.
func transportChecks() []check {
	return []check{
		{name: "transport/poll headers", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			r, err := p.do(http.MethodGet, testHub+"?id="+id, "")
			if err != nil {
				return err
			}
			return all(r.want(200, octetStream, ""), headersAre(r.header, "Cache-Control", "no-cache, no-store", "Pragma", "no-cache", "Expires", "Thu, 01 Jan 1970 00:00:00 GMT"))
		}},
		{name: "transport/event stream headers", run: func(p *probe) error {
			_, res, err := p.events(testHub)
			if err != nil {
				return err
			}
			return headersAre(res.Header, "Content-Type", eventsAccept, "Cache-Control", "no-cache,no-store", "Pragma", "no-cache", "Content-Encoding", "identity")
		}},
		{name: "transport/event stream passes nginx", better: true, run: func(p *probe) error {
			_, res, err := p.events(testHub)
			if err != nil {
				return err
			}
			return headersAre(res.Header, "X-Accel-Buffering", "no")
		}},
		{name: "transport/event", run: func(p *probe) error {
			id, res, err := p.events(testHub)
			if err != nil {
				return err
			}
			if r, err := p.do(http.MethodPost, testHub+"?id="+id, jsonHandshake); err != nil || r.status != 200 {
				return fmt.Errorf("POST: status %d, %w", r.status, err)
			}
			const want = "\r\ndata: {}\x1e\r\n\r\n"
			return reads(res.Body, strings.TrimPrefix(want, "\r\n"), "\r\n")
		}},
		{name: "transport/poll with data", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			address := testHub + "?id=" + id
			if err := p.steps(address, []step{{"GET", "", nil, 200, octetStream, ""}}); err != nil {
				return err
			}
			if _, err := p.do(http.MethodPost, address, jsonHandshake); err != nil {
				return err
			}
			return p.steps(address, []step{{"GET", "", nil, 200, octetStream, "{}\x1e"}})
		}},
		{name: "transport/poll behind the end", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			address := testHub + "?id=" + id
			if err := p.steps(address, []step{{"GET", "", nil, 200, octetStream, ""}}); err != nil {
				return err
			}
			if _, err := p.do(http.MethodPost, address, `{"protocol":"none","version":1}`+"\x1e"); err != nil {
				return err
			}
			return p.steps(address, []step{
				{"GET", "", nil, 200, octetStream, `{"error":"The protocol 'none' is not supported."}` + "\x1e"}, {"GET", "", nil, 204, plainText, ""},
				{"GET", "", nil, 404, plainText, unknownID}})
		}},
		{name: "transport/second poll takes over", run: secondPoll},
		{name: "transport/raw WebSocket without negotiate", run: func(p *probe) error {
			w, err := p.dial("/echo", "")
			if err != nil {
				return err
			}
			if err := w.conn.Write(p.ctx, websocket.MessageText, []byte("any bytes\n")); err != nil {
				return err
			}
			_, b, err := w.conn.Read(p.ctx)
			if err == nil && string(b) != "any bytes\n" {
				err = fmt.Errorf("got %q back", b)
			}
			return err
		}},
		{name: "transport/raw Long Polling", run: func(p *probe) error {
			id, err := p.token("/echo")
			if err != nil {
				return err
			}
			if err := p.steps("/echo?id="+id, []step{{"GET", "", nil, 200, octetStream, ""}}); err != nil {
				return err
			}
			if _, err := p.do(http.MethodPost, "/echo?id="+id, "any bytes\n"); err != nil {
				return err
			}
			return p.steps("/echo?id="+id, []step{{"GET", "", nil, 200, octetStream, "any bytes\n"}})
		}},
		{name: "transport/raw event stream", run: func(p *probe) error {
			id, res, err := p.events("/echo")
			if err != nil {
				return err
			}
			if _, err := p.do(http.MethodPost, "/echo?id="+id, "two\nlines"); err != nil {
				return err
			}
			return reads(res.Body, "data: two\r\ndata: lines\r\n\r\n", "\r\n")
		}},
	}
}

// reads compares the next bytes of r, behind what may stand before them.
func reads(r io.Reader, want, before string) error {
	got := make([]byte, len(before)+len(want))
	n, err := io.ReadFull(r, got[:len(want)])
	if err == nil && strings.HasPrefix(string(got), before) {
		n, err = io.ReadFull(r, got[len(want):])
		n += len(want)
		got = got[len(before):]
		n -= len(before)
	}
	if err != nil || string(got[:n]) != want {
		return fmt.Errorf("got %q (%v), want %q", got[:n], err, want)
	}
	return nil
}

func headersAre(h http.Header, pairs ...string) error {
	var errs []error
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := h.Get(pairs[i]); got != pairs[i+1] {
			errs = append(errs, fmt.Errorf("%s is %q, want %q", pairs[i], got, pairs[i+1]))
		}
	}
	return all(errs...)
}

// secondPoll sends a poll while another waits: the first ends with 204.
func secondPoll(p *probe) error {
	id, err := p.token(testHub)
	if err != nil {
		return err
	}
	address := testHub + "?id=" + id
	if err := p.steps(address, []step{{"GET", "", nil, 200, octetStream, ""}}); err != nil {
		return err
	}
	polls := make(chan error, 2)
	poll := func(ctx context.Context) {
		q := *p
		q.ctx = ctx
		r, err := q.do(http.MethodGet, address, "")
		if err == nil {
			err = r.want(http.StatusNoContent, "", "")
		}
		polls <- err
	}
	ctx, cancel := context.WithCancel(p.ctx)
	go poll(ctx)
	select { // the first one has to be there before the second
	case err := <-polls:
		cancel()
		return fmt.Errorf("a poll with nothing to say: %w", err)
	case <-time.After(300 * time.Millisecond):
	}
	go poll(ctx)
	err = <-polls
	cancel()
	<-polls // given up
	return err
}

// handshakeChecks are about the first record of each side (HubProtocol.md, "Overview").
func handshakeChecks() []check {
	const canceled = `{"error":"Handshake was canceled."}`
	unexpected := func(detail string) string {
		return `{"error":"An unexpected error occurred during connection handshake. ` + detail + `"}`
	}
	longest := `{"protocol":"json","version":1,"pad":"` + strings.Repeat("x", 32768-len(`{"protocol":"json","version":1,"pad":""}`)-1) + `"}`
	var list []check
	for _, x := range []struct{ name, say, hear string }{
		{"json", `{"protocol":"json","version":1}`, `{}`},
		{"order of members", `{"version":1,"protocol":"json"}`, `{}`},
		{"name without regard to case", `{"protocol":"JSON","version":1}`, `{}`},
		{"version 0", `{"protocol":"json","version":0}`, `{}`},
		{"version -1", `{"protocol":"json","version":-1}`, `{}`},
		{"version 2", `{"protocol":"json","version":2}`, `{}`},
		{"unknown members", `{"type":1,"a":{"b":[1]},"protocol":"json","version":1}`, `{}`},
		{"last of two members", `{"protocol":"none","protocol":"json","version":1}`, `{}`},
		{"text behind the object", `{"protocol":"json","version":1} more`, `{}`},
		{"longest", longest, `{}`},
		{"too long", strings.Replace(longest, `"pad":"`, `"pad":"x`, 1), canceled},
		{"unknown protocol", `{"protocol":"xyz","version":1}`, `{"error":"The protocol 'xyz' is not supported."}`},
		{"unknown version", `{"protocol":"json","version":3}`, `{"error":"The server does not support version 3 of the 'json' protocol."}`},
		{"protocol before version", `{"protocol":"xyz","version":3}`, `{"error":"The protocol 'xyz' is not supported."}`},
		{"no protocol", `{"version":1}`, unexpected(`InvalidDataException: Missing required property 'protocol'. Message content: {\"version\":1}`)},
		{"no version", `{"protocol":"json"}`, unexpected(`InvalidDataException: Missing required property 'version'. Message content: {\"protocol\":\"json\"}`)},
		{"version is text", `{"protocol":"json","version":"1"}`, unexpected(`InvalidDataException: Expected 'version' to be of type Number.`)},
		{"protocol is a number", `{"protocol":1,"version":1}`, unexpected(`InvalidDataException: Expected 'protocol' to be of type String.`)},
		{"version is 1.0", `{"protocol":"json","version":1.0}`,
			unexpected(`FormatException: Either the JSON value is not in a supported format, or is out of bounds for …`)},
		{"array", `[]`, unexpected(`InvalidDataException: Unexpected JSON Token Type 'Array'. Expected a JSON Object.`)},
		{"no JSON", `{"protocol":`, `{"error":"An unexpected error occurred during connection handshake.…"}`},
	} {
		list = append(list, check{name: "handshake/" + x.name, run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			w, err := p.dial(testHub, id)
			if err != nil {
				return err
			}
			if err := w.talk([]string{x.say}, x.hear); err != nil {
				return err
			}
			if x.hear == `{}` {
				return w.talk([]string{`{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`}, `{"type":3,"invocationId":"1","result":"x"}`)
			}
			return w.closed(websocket.StatusNormalClosure)
		}})
	}
	return append(list, handshakeMoreChecks()...)
}

func handshakeMoreChecks() []check {
	return []check{
		{name: "handshake/with a call in one message", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			w, err := p.dial(testHub, id)
			if err != nil {
				return err
			}
			return w.talk([]string{`{"protocol":"json","version":1}`, `{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`},
				`{}`, `{"type":3,"invocationId":"1","result":"x"}`)
		}},
		{name: "handshake/in pieces", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			w, err := p.dial(testHub, id)
			if err != nil {
				return err
			}
			for b := range strings.SplitSeq(jsonHandshake, "") {
				if err := w.conn.Write(p.ctx, websocket.MessageText, []byte(b)); err != nil {
					return err
				}
			}
			return w.hear(`{}`)
		}},
		{name: "handshake/messagepack answers in binary", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			w, err := p.dial(testHub, id)
			if err != nil {
				return err
			}
			if err := w.talk([]string{`{"protocol":"messagepack","version":1}`}, `{}`); err != nil {
				return err
			}
			if w.typ != websocket.MessageBinary {
				return fmt.Errorf("the answer is %v, want binary", w.typ)
			}
			return nil
		}},
		{name: "handshake/messagepack over an event stream", run: func(p *probe) error {
			id, res, err := p.events(testHub)
			if err != nil {
				return err
			}
			if _, err := p.do(http.MethodPost, testHub+"?id="+id, `{"protocol":"messagepack","version":1}`+"\x1e"); err != nil {
				return err
			}
			return reads(res.Body, `data: {"error":"Cannot use the 'messagepack' protocol on the current transport. `+
				`The transport does not support 'Binary' transfer format."}`+"\x1e\r\n\r\n", "\r\n")
		}},
		{name: "handshake/hub that cannot be made", run: func(p *probe) error {
			w, err := p.connect("/uncreatable")
			if err != nil {
				return err
			}
			return all(w.hear(`{"type":7,"error":"Connection closed with an error. InvalidOperationException: Unable to resolve service…"}`), w.closed(websocket.StatusNormalClosure))
		}},
	}
}
