package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one connection of the load. One goroutine reads it; writes are safe for concurrent use.
type conn struct {
	nc     net.Conn
	index  int // among all connections of all workers
	wire   Wire
	format format
	split  splitter
	buf    []byte
	have   int // bytes of buf that are not handled yet

	wmu     sync.Mutex
	leaving atomic.Bool // closed by the load

	shard  *shard
	sender uint32 // whose messages it is to hear
	ledger ledger
}

const (
	firstBuffer   = 2 << 10
	largestBuffer = 64 << 10
)

// write sends p in one write.
func (c *conn) write(p []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, err := c.nc.Write(p)
	return err
}

// close ends the connection without a goodbye.
func (c *conn) close() {
	c.leaving.Store(true)
	c.nc.Close()
}

// reset ends the connection as a crash would, without waiting for what is on the way and without TIME_WAIT.
func (c *conn) reset() {
	if t, ok := c.nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.close()
}

// fill reads once.
func (c *conn) fill() error {
	if c.have == len(c.buf) {
		if len(c.buf) > largestFrame {
			return fmt.Errorf("%d bytes without the end of a message", c.have)
		}
		c.buf = append(c.buf, make([]byte, max(len(c.buf), firstBuffer))...)
	}
	n, err := c.nc.Read(c.buf[c.have:])
	c.have += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// handle gives every whole record to handle.
func (c *conn) handle(handle func(record []byte)) error {
	var pongs []byte
	used, err := c.split.next(c.buf[:c.have], handle, func(op byte, payload []byte) {
		if op == opPing {
			pongs = appendMasked(pongs, opPong, payload)
		}
	})
	copy(c.buf, c.buf[used:c.have])
	if full := c.have == len(c.buf) && len(c.buf) < largestBuffer; full && used > 0 {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	c.have -= used
	if len(pongs) > 0 {
		_ = c.write(pongs) // a broken connection shows itself to the reader
	}
	return err
}

// dialer makes connections to one target.
type dialer struct {
	job    *Job
	target *address
	header http.Header
}

func (d *dialer) dial(ctx context.Context, index int) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	nd := net.Dialer{}
	if d.job.Sources > 0 {
		nd.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+index%d.job.Sources))}
	}
	var nc net.Conn
	var err error
	if d.job.overHTTP() {
		nc, err = d.open(ctx, &nd)
	} else {
		nc, err = d.target.dial(ctx, &nd, d.job.Insecure)
	}
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, index: index, wire: d.job.Target.Wire, format: d.job.format(), buf: make([]byte, firstBuffer)}
	c.split.raw = !c.format.framed
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	if err := d.greet(c); err != nil {
		nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	return c, nil
}

// greet does what comes before the first message.
func (d *dialer) greet(c *conn) error {
	switch {
	case c.wire == wireRaw, d.job.overHTTP() && c.wire == wireEcho:
		return nil
	case d.job.overHTTP():
		return c.handshake()
	}
	uri := d.target.path
	if d.job.Negotiate {
		token, err := d.negotiate(c)
		if err != nil {
			return err
		}
		uri = withQuery(uri, "id="+token)
	}
	if err := d.upgrade(c, uri); err != nil {
		return err
	}
	if c.wire != wireHub {
		return nil
	}
	return c.handshake()
}

func (d *dialer) request(method, uri string, extra http.Header) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, uri, d.target.host)
	_ = d.header.Write(&b) // to memory
	_ = extra.Write(&b)
	b.WriteString("\r\n")
	return b.Bytes()
}

func (d *dialer) upgrade(c *conn, uri string) error {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	extra := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-WebSocket-Version": {"13"}}
	extra.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key[:]))
	if err := c.write(d.request("GET", uri, extra)); err != nil {
		return fmt.Errorf("send the upgrade: %w", err)
	}
	status, _, err := c.response(false)
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if !bytes.Contains(status, []byte(" 101")) {
		return fmt.Errorf("upgrade of %s was answered %q, want 101", d.target.path, status)
	}
	return nil
}

func (d *dialer) negotiate(c *conn) (token string, err error) {
	path, query, _ := bytes.Cut([]byte(d.target.path), []byte("?"))
	uri := withQuery(string(path)+"/negotiate", string(query))
	if err := c.write(d.request("POST", withQuery(uri, "negotiateVersion=1"), http.Header{"Content-Length": {"0"}})); err != nil {
		return "", fmt.Errorf("send negotiate: %w", err)
	}
	status, body, err := c.response(true)
	if err != nil {
		return "", fmt.Errorf("negotiate: %w", err)
	}
	if !bytes.Contains(status, []byte(" 200")) {
		return "", fmt.Errorf("negotiate was answered %q with %d bytes, want 200", status, len(body))
	}
	return tokenOf(body)
}

// response reads one HTTP answer up to its head's end, and its body when it has one. What follows stays in buf.
func (c *conn) response(body bool) (status, content []byte, err error) {
	for {
		if i := bytes.Index(c.buf[:c.have], []byte("\r\n\r\n")); i >= 0 {
			head := bytes.Clone(c.buf[:i+4])
			used := i + 4
			if body {
				if content, used, err = c.body(head, used); err != nil {
					return nil, nil, err
				}
			}
			c.have = copy(c.buf, c.buf[used:c.have])
			status, _, _ = bytes.Cut(head, []byte("\r\n"))
			return status, content, nil
		}
		if c.have > 64<<10 {
			return nil, nil, fmt.Errorf("%d bytes without the end of the answer's head", c.have)
		}
		if err := c.fill(); err != nil {
			return nil, nil, err
		}
	}
}

// body reads a body of known length or in chunks.
func (c *conn) body(head []byte, used int) (content []byte, end int, err error) {
	for {
		r := bytes.NewReader(c.buf[:c.have])
		res, err := readResponse(r)
		if err == nil {
			content, err = io.ReadAll(res.Body)
			res.Body.Close()
			if err == nil {
				return content, c.have, nil // the server says nothing more before it is asked
			}
		}
		if c.have-used > 1<<20 {
			return nil, 0, fmt.Errorf("answer %q has over 1 MiB", head)
		}
		if err := c.fill(); err != nil {
			return nil, 0, err
		}
	}
}

// handshake is that of the hub protocol.
func (c *conn) handshake() error {
	if err := c.write(c.format.handshake()); err != nil {
		return fmt.Errorf("send the handshake: %w", err)
	}
	var problem error
	done := false
	for !done {
		if c.have == 0 {
			if err := c.fill(); err != nil {
				return fmt.Errorf("read the handshake's answer: %w", err)
			}
		}
		before := c.have
		err := c.handle(func(r []byte) {
			if !done && !bytes.Equal(r, []byte("{}")) {
				problem = fmt.Errorf("handshake was answered %q, want {}", r)
			}
			done = true
			c.split.packed = c.format.packed
		})
		if err != nil {
			return err
		}
		if !done && c.have == before {
			if err := c.fill(); err != nil {
				return fmt.Errorf("read the handshake's answer: %w", err)
			}
		}
	}
	return problem
}
