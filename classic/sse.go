package classic

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hubbub-go/hubbub/internal/sse"
)

// events is a stream over an HTTP response that does not end: Server-Sent Events, or a forever frame.
type events struct {
	c      *connection
	wakeup chan struct{}
	over   chan struct{} // closed by end
	once   chan struct{}
}

func newEvents(c *connection) *events {
	s := &events{c: c, wakeup: make(chan struct{}, 1), over: make(chan struct{}), once: make(chan struct{}, 1)}
	s.once <- struct{}{}
	return s
}

func (s *events) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

func (s *events) end() {
	select {
	case <-s.once:
		close(s.over)
	default:
	}
}

func (s *events) tick(time.Time) {}

// form is how a transport wraps what it says.
type form struct {
	head, keepAlive, before, after string
	markup                         bool // < and > are escaped
}

var eventForm = form{head: "data: initialized\n\n", keepAlive: "data: {}\n\n", before: "data: ", after: "\n\n"}

// frameForm is that of a forever frame: a page whose scripts hand the envelopes to the page around it.
func frameForm(id string) form {
	return form{
		head: `<!DOCTYPE html><html><head><title>SignalR stream</title><script>` +
			`var $ = window.parent.jQuery, ff = $ ? $.signalR.transports.foreverFrame : null, c = ff ? ff.getConnection('` + id + `') : null, ` +
			`r = ff ? ff.receive : function () {}; if (ff) { ff.started(c); }</script></head><body>` + "\r\n",
		keepAlive: "<script>r(c, {});</script>\n\n", before: "<script>r(c, ", after: ");</script>\r\n", markup: true,
	}
}

// frameID returns the number of a forever frame as it may stand in a script.
func frameID(s string) (string, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return strconv.FormatUint(n, 10), err == nil
}

// serveEvents carries c to the client until one of the two ends the stream.
func (x *exchange) serveEvents(c *connection, connecting bool, frame string) {
	h := x.w.Header()
	f := eventForm
	if x.t == ForeverFrame {
		f = frameForm(frame)
		h.Set("Content-Type", "text/html; charset=UTF-8")
	} else {
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
	}
	h.Set("Cache-Control", "no-cache, no-store")
	s := newEvents(c)
	number, ok := c.attach(s, x.t, snapshot(x.r, x.t), x.field("messageid"), x.field("groupstoken"))
	if !ok {
		x.refuse(http.StatusBadRequest, textGone)
		return
	}
	defer c.detach(s)
	x.w.WriteHeader(http.StatusOK)
	out := sse.NewWriter(x.w, x.e.sendTimeout)
	if out.Send([]byte(f.head)) != nil {
		return
	}
	x.arrived(c)
	s.run(x.r.Context(), out, f, number, connecting)
}

// run writes what there is to say until the stream ends.
func (s *events) run(ctx context.Context, out *sse.Writer, f form, number uint64, connecting bool) {
	c := s.c
	next := envelope{initial: connecting, max: envelopeBytes}
	var silence <-chan time.Time
	if every := c.ep.opts.KeepAlive; every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		silence = t.C
	}
	var buf, text []byte
	over := false
	for {
		var ok bool
		buf = buf[:0]
		for len(buf) < envelopeBytes {
			if text, ok = c.appendNext(text[:0], s, number, &next, noFrame); !ok {
				break
			}
			buf = append(buf, f.before...)
			if f.markup {
				buf = escapeMarkup(buf, text)
			} else {
				buf = append(buf, text...)
			}
			buf = append(buf, f.after...)
		}
		if len(buf) > 0 {
			if out.Send(buf) != nil {
				return
			}
			continue
		}
		buf, text = nil, nil // an idle stream has no buffers
		select {
		case <-s.wakeup:
		case <-silence:
			if out.Send([]byte(f.keepAlive)) != nil {
				return
			}
		case <-s.over:
			if over {
				return
			}
			over = true // look once more: the last words may have come meanwhile
		case <-ctx.Done():
			return
		}
	}
}

func noFrame(dst []byte, _ int) []byte { return dst }

// escapeMarkup appends JSON with < and > escaped, which it has in texts only.
func escapeMarkup(dst, json []byte) []byte {
	for _, b := range json {
		switch b {
		case '<':
			dst = append(dst, `\u003c`...)
		case '>':
			dst = append(dst, `\u003e`...)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// appendNumber appends a number.
func appendNumber(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }
