package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/signalr"
)

const websocketNormal = websocket.StatusNormalClosure

// message is what the checks look at in a message of the server.
type message struct {
	Type   int    `json:"type"`
	ID     string `json:"invocationId"`
	Target string `json:"target"`
	Result string `json:"result"`
}

func (w *wire) message() (m message, err error) {
	text, err := w.next()
	if err == nil {
		err = json.Unmarshal([]byte(text), &m)
	}
	return m, err
}

// audienceChecks are about who hears what. Other clients of the server may talk meanwhile: messages are told apart by their text.
func audienceChecks() []check {
	three := func(name string, run func(p *probe, w [3]*wire, mark string) error) check {
		return check{name: "audience/" + name, run: func(p *probe) error {
			var w [3]*wire
			for i, path := range []string{testHub, "/testhub-nowebsockets", "/testhub-stateful"} {
				if i == 1 {
					path = testHub // a WebSocket too, the other paths are tried below
				}
				var err error
				if w[i], err = p.connect(path); err != nil {
					return err
				}
			}
			id, err := w[0].connectionID()
			if err != nil {
				return err
			}
			return run(p, w, "m-"+id)
		}}
	}
	hears := func(text string) string { return `{"type":1,"target":"Message","arguments":["` + text + `"]}` }
	const done = `{"type":3,"invocationId":"1","result":null}`
	return []check{
		three("all, of every path", func(_ *probe, w [3]*wire, mark string) error {
			return all(w[0].talk([]string{call("SendToAll", `["`+mark+`"]`)}, hears(mark), done), w[1].hear(hears(mark)), w[2].hear(hears(mark)))
		}),
		three("others", func(_ *probe, w [3]*wire, mark string) error {
			return all(w[0].talk([]string{call("SendToOthers", `["`+mark+`"]`)}, done), w[1].hear(hears(mark)), w[2].hear(hears(mark)))
		}),
		three("group", func(_ *probe, w [3]*wire, mark string) error {
			join, send := call("AddToGroup", `["`+mark+`"]`), call("SendToGroup", `["`+mark+`","1"]`)
			leave, again := call("RemoveFromGroup", `["`+mark+`"]`), call("SendToGroup", `["`+mark+`","2"]`)
			return all(w[1].talk([]string{join}, done), w[1].talk([]string{join}, done), w[2].talk([]string{join}, done),
				w[0].talk([]string{send}, done), w[1].hear(hears("1")), w[2].hear(hears("1")),
				w[1].talk([]string{leave}, done), w[0].talk([]string{again}, done), w[2].hear(hears("2")),
				w[1].talk([]string{call("Echo", `["x"]`)}, `{"type":3,"invocationId":"1","result":"x"}`))
		}),
		three("group names with regard to case", func(_ *probe, w [3]*wire, mark string) error {
			return all(w[1].talk([]string{call("AddToGroup", `["`+mark+`"]`)}, done), w[0].talk([]string{call("SendToGroup", `["M`+mark[1:]+`","1"]`)}, done),
				w[1].talk([]string{call("Echo", `["x"]`)}, `{"type":3,"invocationId":"1","result":"x"}`))
		}),
	}
}

const statefulHub = "/testhub-stateful"

// stateful opens a WebSocket that may be resumed, and returns its token.
func (p *probe) stateful() (*wire, string, error) {
	o, err := p.offered(statefulHub, "negotiateVersion=1&useStatefulReconnect=true")
	if err != nil {
		return nil, "", err
	}
	id := url.QueryEscape(o.ConnectionToken)
	w, err := p.dial(statefulHub, id)
	if err != nil {
		return nil, "", err
	}
	return w, id, w.talk([]string{`{"protocol":"json","version":2}`, `{"type":6}`}, `{}`)
}

// statefulChecks are about WebSockets that are cut (HubProtocol.md, "Ack Message Encoding", "Sequence Message Encoding").
func statefulChecks() []check {
	const answer = `{"type":3,"invocationId":"1","result":"x"}`
	return []check{
		{name: "stateful/acknowledges", run: func(p *probe) error {
			w, _, err := p.stateful()
			if err != nil {
				return err
			}
			return w.talk([]string{call("Echo", `["x"]`)}, answer, `{"type":8,"sequenceId":1}`)
		}},
		{name: "stateful/goes on where it was cut", run: func(p *probe) error {
			w, id, err := p.stateful()
			if err != nil {
				return err
			}
			if err := w.talk([]string{call("Echo", `["x"]`)}, answer); err != nil {
				return err
			}
			_ = w.conn.CloseNow()
			if w, err = p.dial(statefulHub, id); err != nil {
				return err
			}
			// The first message comes again, and the server drops ours that it has had.
			return all(w.talk([]string{`{"type":9,"sequenceId":1}`, call("Echo", `["x"]`)}, `{"type":9,"sequenceId":1}`, answer),
				w.say(`{"type":8,"sequenceId":1}`, `{"type":1,"invocationId":"2","target":"Echo","arguments":["y"]}`),
				w.hearPast(`{"type":3,"invocationId":"2","result":"y"}`, 8))
		}},
		{name: "stateful/a sequence too high", run: func(p *probe) error {
			w, _, err := p.stateful()
			if err != nil {
				return err
			}
			return w.talk([]string{`{"type":9,"sequenceId":9}`}, `{"type":7,"error":"Connection closed with an error. InvalidOperationException: `+
				`Sequence ID greater than amount of messages we've received.","allowReconnect":true}`)
		}},
		{name: "stateful/a sequence below 1", better: true, run: func(p *probe) error {
			w, _, err := p.stateful()
			if err != nil {
				return err
			}
			return w.talk([]string{`{"type":9,"sequenceId":0}`, call("Echo", `["x"]`)}, `{"type":7,"error":"Connection closed with an error.…","allowReconnect":true}`)
		}},
		{name: "stateful/not behind a close", run: func(p *probe) error {
			w, id, err := p.stateful()
			if err != nil {
				return err
			}
			if err := all(w.talk([]string{`{"type":7}`}, `{"type":7}`), w.closed(websocketNormal)); err != nil {
				return err
			}
			for {
				r, err := p.do(http.MethodGet, statefulHub+"?id="+id, "", "Connection", "Upgrade", "Upgrade", "websocket",
					"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
				if err != nil || r.status == http.StatusNotFound {
					return err
				}
				if r.status != http.StatusConflict && r.status != http.StatusNoContent {
					return fmt.Errorf("status %d, want 409 or 404", r.status)
				}
			}
		}},
		{name: "stateful/20 cuts, nothing lost, doubled or out of order", run: cuts},
	}
}

// hearPast wants a record next, past those of one type.
func (w *wire) hearPast(want string, kind int) error {
	for {
		got, err := w.next()
		if err != nil {
			return fmt.Errorf("want %s: %w", want, err)
		}
		var m message
		if json.Unmarshal([]byte(got), &m) == nil && m.Type == kind {
			continue
		}
		return same(got, want)
	}
}

// cutter makes TCP connections that can be cut.
type cutter struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

// cut cuts what there is.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not a goodbye
		}
		_ = conn.Close()
	}
	c.conns = nil
}

// cuts asks for numbers and cuts the connection while they come.
func cuts(p *probe) error {
	c := &cutter{}
	p.http.Transport.(*http.Transport).DialContext = c.dial
	calls := make(chan string, 4096)
	client, err := p.client(statefulHub, signalr.WebSockets, "json", func(client *signalr.Client, o *signalr.ClientOptions) {
		o.StatefulReconnect = true
		collect(calls)(client, o)
	})
	if err != nil {
		return err
	}
	const count = 100
	for n := range 20 {
		if err := client.Send(p.ctx, "SendSequence", count); err != nil {
			return fmt.Errorf("cut %d: %w", n+1, err)
		}
		for i := range count {
			if err := p.heard(calls, fmt.Sprint("Item ", i)); err != nil {
				return fmt.Errorf("cut %d: %w", n+1, err)
			}
			if i == n*5 {
				c.cut()
			}
		}
	}
	return echoes(p, client, "still there")
}
