package bench

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The first byte of a raw record says who hears it.
const (
	rawEcho = 'E'
	rawAll  = 'A'
)

// rawServer is the limit: plain TCP, records that end with 0x1E, and one write(2) for every message to every connection. It has no
// queues and no protections; a client that does not read stops it.
type rawServer struct {
	mu    sync.RWMutex
	conns map[net.Conn]struct{}
}

// ServeRaw serves plain TCP on l, and WebSocket upgrades that do nothing more on plain, until ctx is done.
func ServeRaw(ctx context.Context, l, plain net.Listener) error {
	s := &rawServer{conns: map[net.Conn]struct{}{}}
	srv := &http.Server{Handler: http.HandlerFunc(s.upgrade), ReadHeaderTimeout: 10 * time.Second}
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Serve(plain) })
	stop := context.AfterFunc(ctx, func() {
		l.Close()
		srv.Close()
		s.closeAll()
	})
	defer stop()
	var err error
	for {
		var nc net.Conn
		if nc, err = l.Accept(); err != nil {
			break
		}
		s.add(nc)
		running.Go(func() { s.serve(nc) })
	}
	srv.Close()
	s.closeAll()
	running.Wait()
	if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *rawServer) add(nc net.Conn) {
	s.mu.Lock()
	s.conns[nc] = struct{}{}
	s.mu.Unlock()
}

func (s *rawServer) closeAll() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for nc := range s.conns {
		nc.Close()
	}
}

func (s *rawServer) serve(nc net.Conn) {
	defer func() {
		nc.Close()
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
	}()
	buf, have := make([]byte, 4096), 0
	for {
		if have == len(buf) {
			if len(buf) > 2*maxSize {
				return
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
		n, err := nc.Read(buf[have:])
		if have += n; err != nil {
			return
		}
		used := 0
		for {
			i := bytes.IndexByte(buf[used:have], recordEnd)
			if i < 0 {
				break
			}
			if !s.message(nc, buf[used:used+i+1]) {
				return
			}
			used += i + 1
		}
		have = copy(buf, buf[used:have])
	}
}

// message writes one record, once to everyone who is to hear it.
func (s *rawServer) message(from net.Conn, record []byte) bool {
	if record[0] != rawAll {
		_, err := from.Write(record)
		return err == nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for nc := range s.conns {
		_, _ = nc.Write(record) // its reader sees that it is gone
	}
	return true
}

// upgrade answers a WebSocket upgrade and then only waits for the end.
func (s *rawServer) upgrade(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(w, "want a WebSocket upgrade", http.StatusBadRequest)
		return
	}
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = nc.SetDeadline(time.Time{})
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	s.add(nc)
	defer func() {
		nc.Close()
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
	}()
	if _, err := nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, nc)
}
