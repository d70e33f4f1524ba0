package console

import (
	"fmt"
	"io"
	"net/http"
)

const (
	needsID      = "Connection ID required"
	unknownID    = "No Connection with that ID"
	otherways    = "Cannot change transports mid-connection"
	noSockets    = "WebSockets transport not supported by this end point type"
	noPosts      = "POST requests are not allowed for WebSocket connections."
	noDeletes    = "Cannot terminate this connection using the DELETE endpoint."
	octetStream  = "application/octet-stream"
	plainText    = "text/plain"
	eventsAccept = "text/event-stream"
)

// statusChecks are about the answers of an endpoint (TransportProtocols.md).
func statusChecks() []check {
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	events := []string{"Accept", eventsAccept}
	var list []check
	for _, x := range []struct {
		name, method, path string
		header             []string
		status             int
		mediaType, body    string
	}{
		{"GET negotiate", "GET", "/testhub/negotiate", nil, 405, plainText, ""},
		{"PUT negotiate", "PUT", "/testhub/negotiate", nil, 405, plainText, ""},
		{"PUT", "PUT", "/testhub?id=x", nil, 405, plainText, ""},
		{"PATCH", "PATCH", "/testhub", nil, 405, plainText, ""},
		{"HEAD", "HEAD", "/testhub", nil, 405, plainText, ""},
		{"poll without id", "GET", "/testhub", nil, 400, plainText, needsID},
		{"poll with an empty id", "GET", "/testhub?id=", nil, 400, plainText, needsID},
		{"event stream without id", "GET", "/testhub", events, 400, plainText, needsID},
		{"POST without id", "POST", "/testhub", nil, 400, plainText, needsID},
		{"DELETE without id", "DELETE", "/testhub", nil, 400, plainText, needsID},
		{"poll with an unknown id", "GET", "/testhub?id=x", nil, 404, plainText, unknownID},
		{"event stream with an unknown id", "GET", "/testhub?id=x", events, 404, plainText, unknownID},
		{"POST with an unknown id", "POST", "/testhub?id=x", nil, 404, plainText, unknownID},
		{"DELETE with an unknown id", "DELETE", "/testhub?id=x", nil, 404, plainText, unknownID},
		{"WebSocket with an unknown id", "GET", "/testhub?id=x", upgrade, 404, "", unknownID},
		{"WebSocket where there are none", "GET", "/testhub-nowebsockets", upgrade, 404, plainText, noSockets},
		{"WebSocket without a key", "GET", "/testhub", upgrade[:6], 400, plainText, needsID},
		{"event stream with parameters is a poll", "GET", "/testhub?id=x", []string{"Accept", "text/event-stream;q=0.9"}, 404, plainText, unknownID},
		{"trailing slash", "GET", "/testhub/", nil, 400, plainText, needsID},
	} {
		list = append(list, check{name: "status/" + x.name, run: func(p *probe) error {
			r, err := p.do(x.method, x.path, "", x.header...)
			if err != nil {
				return err
			}
			return r.want(x.status, x.mediaType, x.body)
		}})
	}
	for _, x := range []struct {
		name   string
		path   string // of the hub
		better bool
		steps  []step
	}{
		{"id twice", testHub, false, []step{{"GET", "&id=ID", nil, 404, plainText, unknownID}}},
		{"DELETE before a transport", testHub, false, []step{{"DELETE", "", nil, 400, plainText, noDeletes}}},
		{"first poll", testHub, false, []step{{"GET", "", nil, 200, octetStream, ""}}},
		{"event stream behind a poll", testHub, false, []step{{"GET", "", nil, 200, octetStream, ""}, {"GET", "", events, 400, plainText, otherways}}},
		{"WebSocket behind a poll", testHub, false, []step{{"GET", "", nil, 200, octetStream, ""}, {"GET", "", upgrade, 400, plainText, otherways}}},
		{"DELETE behind a poll", testHub, false, []step{{"GET", "", nil, 200, octetStream, ""}, {"DELETE", "", nil, 202, plainText, ""}}},
		{"WebSocket with an id where there are none", "/testhub-nowebsockets", false, []step{{"GET", "", upgrade, 404, plainText, noSockets}}},
	} {
		list = append(list, check{name: "status/" + x.name, better: x.better, run: func(p *probe) error {
			id, err := p.token(x.path)
			if err != nil {
				return err
			}
			return p.steps(x.path+"?id="+id, x.steps)
		}})
	}
	return append(list, boundChecks()...)
}

// step is one request of a dialogue and what it must be answered.
type step struct {
	method, more    string // more of the query
	header          []string
	status          int
	mediaType, body string
}

func (p *probe) steps(path string, steps []step) error {
	for i, s := range steps {
		r, err := p.do(s.method, path+s.more, "", s.header...)
		if err == nil {
			err = r.want(s.status, s.mediaType, s.body)
		}
		if err != nil {
			return fmt.Errorf("request %d: %w", i+1, err)
		}
	}
	return nil
}

// boundChecks are about connections that have a transport.
func boundChecks() []check {
	return []check{
		{name: "status/the id is not the token", run: func(p *probe) error {
			o, err := p.offered(testHub, "negotiateVersion=1")
			if err != nil {
				return err
			}
			return p.steps(testHub+"?id="+o.ConnectionID, []step{{"GET", "", nil, 404, plainText, unknownID}})
		}},
		{name: "status/token of another endpoint", better: true, run: func(p *probe) error {
			id, err := p.token("/testhub-nowebsockets")
			if err != nil {
				return err
			}
			return p.steps(testHub+"?id="+id, []step{{"GET", "", nil, 404, plainText, unknownID}})
		}},
		{name: "status/below a hub", run: func(p *probe) error {
			r, err := p.do(http.MethodGet, testHub+"/further", "") // the host answers, in its own words
			if err == nil && r.status != http.StatusNotFound {
				err = fmt.Errorf("status %d, want 404", r.status)
			}
			return err
		}},
		{name: "status/POST before a transport", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			r, err := p.do(http.MethodPost, testHub+"?id="+id, "") // it may be kept, or refused, but not forgotten
			if err == nil && (r.status != http.StatusOK && r.status != http.StatusBadRequest || r.body != "") {
				err = fmt.Errorf("status %d, body %q, want 200 or 400 without one", r.status, r.body)
			}
			return err
		}},
		{name: "status/POST to a WebSocket", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			if _, err := p.dial(testHub, id); err != nil {
				return err
			}
			return p.steps(testHub+"?id="+id, []step{{"POST", "", nil, 405, plainText, noPosts}, {"DELETE", "", nil, 400, plainText, noDeletes}})
		}},
		{name: "status/second event stream", run: func(p *probe) error {
			id, _, err := p.events(testHub)
			if err != nil {
				return err
			}
			return p.steps(testHub+"?id="+id, []step{{"GET", "", []string{"Accept", eventsAccept}, 409, plainText, ""}})
		}},
		{name: "status/nothing left behind DELETE", run: func(p *probe) error {
			id, err := p.token(testHub)
			if err != nil {
				return err
			}
			if err := p.steps(testHub+"?id="+id, []step{{"GET", "", nil, 200, octetStream, ""}, {"DELETE", "", nil, 202, plainText, ""}}); err != nil {
				return err
			}
			for { // it goes on in the background
				r, err := p.do(http.MethodPost, testHub+"?id="+id, "")
				if err != nil || r.status == http.StatusNotFound {
					return err
				}
			}
		}},
	}
}

// events opens an event stream and reads its first comment.
func (p *probe) events(path string) (id string, res *http.Response, err error) {
	if id, err = p.token(path); err != nil {
		return "", nil, err
	}
	if res, err = p.start(http.MethodGet, path+"?id="+id, "", "Accept", eventsAccept); err != nil {
		return "", nil, err
	}
	p.after = append(p.after, func() { res.Body.Close() })
	first := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != ":\r\n" {
		return "", nil, fmt.Errorf("the event stream begins with %q (%v), want a comment", first, err)
	}
	return id, res, nil
}
