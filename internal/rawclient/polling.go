package rawclient

import (
	"context"
	"io"
	"net/http"
	"sync"
)

type polling struct {
	c    *Conn
	stop context.CancelFunc
	read chan struct{}
	once sync.Once
}

// poll makes the first poll, which is answered at once, and then polls until the server says that it is over.
func (c *Conn) poll() (link, error) {
	ctx, stop := context.WithCancel(context.Background())
	status, header, body, err := c.pollOnce(ctx)
	if err == nil && (status != http.StatusOK || len(body) > 0) {
		err = &Refused{Answer{status, header, string(body)}}
	}
	if err != nil {
		stop()
		return nil, err
	}
	p := &polling{c: c, stop: stop, read: make(chan struct{})}
	go p.run(ctx)
	return p, nil
}

func (c *Conn) pollOnce(ctx context.Context) (status int, header http.Header, body []byte, err error) {
	res, err := c.get(ctx, "")
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header, body, err
}

func (p *polling) run(ctx context.Context) {
	defer close(p.read)
	for {
		status, _, body, err := p.c.pollOnce(ctx)
		if err != nil || status != http.StatusOK {
			p.c.in.finish(End{Code: status, Err: err})
			return
		}
		if len(body) > 0 {
			p.c.in.chunk(body, false)
		}
	}
}

func (p *polling) send(ctx context.Context, b []byte) error { return p.c.post(ctx, b) }

func (p *polling) close() {
	p.once.Do(func() {
		p.stop()
		<-p.read
		// The server may have ended by itself; what it answers is for tests that send DELETE themselves.
		_, _ = Request(context.Background(), http.MethodDelete, p.c.URL(), p.c.opts.Header, "")
	})
}

func (p *polling) drop(bool) {
	p.once.Do(p.stop)
	<-p.read
}
