package rawclient

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

type events struct {
	c    *Conn
	stop context.CancelFunc
	read chan struct{}
}

// listen opens an event stream.
func (c *Conn) listen() (link, error) {
	ctx, stop := context.WithCancel(context.Background())
	res, err := c.get(ctx, "text/event-stream")
	if err != nil {
		stop()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer stop()
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return nil, &Refused{Answer{res.StatusCode, res.Header, string(body)}}
	}
	e := &events{c: c, stop: stop, read: make(chan struct{})}
	go e.run(res)
	return e, nil
}

func (c *Conn) get(ctx context.Context, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL(), nil)
	if err != nil {
		return nil, err
	}
	for k, v := range c.opts.Header {
		req.Header[k] = v
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return client.Do(req)
}

func (e *events) run(res *http.Response) {
	defer close(e.read)
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	err := readEvents(r, func(data string) { e.c.in.chunk([]byte(data), false) })
	end := End{Code: res.StatusCode, Err: err}
	if err != nil {
		end.Code = 0
	}
	e.c.in.finish(end)
}

// readEvents reads an event stream and calls f with the data of every event until the stream ends, which is no error. Every line must
// end with CR LF, as the server writes them.
func readEvents(r *bufio.Reader, f func(data string)) error {
	var data []string
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF && line == "" && data == nil {
			return nil
		}
		if err != nil {
			return err
		}
		line, ok := strings.CutSuffix(line, "\r\n")
		switch text, isData := strings.CutPrefix(line, "data: "); {
		case !ok:
			return fmt.Errorf("line %q of an event stream, want CR LF at its end", line)
		case isData:
			data = append(data, text)
		case line == "":
			if data != nil {
				f(strings.Join(data, "\n"))
			}
			data = nil
		case !strings.HasPrefix(line, ":"):
			return fmt.Errorf("line %q of an event stream, want data or a comment", line)
		}
	}
}

func (e *events) send(ctx context.Context, p []byte) error { return e.c.post(ctx, p) }

// post sends bytes as the transports without a way back do.
func (c *Conn) post(ctx context.Context, p []byte) error {
	a, err := Request(ctx, http.MethodPost, c.URL(), c.opts.Header, string(p))
	if err == nil && a.Status != http.StatusOK {
		err = &Refused{a}
	}
	return err
}

func (e *events) close() {
	e.stop()
	<-e.read
}

func (e *events) drop(bool) { e.close() }
