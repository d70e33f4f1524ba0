package ws_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// endless gives the same bytes rounds times.
type endless struct {
	scripted
	frames []byte
	at     int
	rounds int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && e.rounds > 0 {
		m := copy(p[n:], e.frames[e.at:])
		n += m
		if e.at += m; e.at == len(e.frames) {
			e.at = 0
			e.rounds--
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// BenchmarkRead parses, unmasks and validates. One operation is one frame.
func BenchmarkRead(b *testing.B) {
	for _, bench := range []struct {
		name string
		op   byte
		body string
	}{
		{"binary/150", 0x82, strings.Repeat("x", 150)},
		{"text/150", 0x81, strings.Repeat("x", 150)},
		{"text/150/greek", 0x81, strings.Repeat("κόσμε", 15)},
		{"binary/64k", 0x82, strings.Repeat("x", 64<<10)},
		{"text/64k", 0x81, strings.Repeat("x", 64<<10)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := acceptOn(b, &endless{frames: masked(bench.op, bench.body), rounds: b.N})
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			total := 0
			c.Read(func(p []byte) error {
				total += len(p)
				return nil
			})
			if total != b.N*len(bench.body) {
				b.Errorf("%d bytes, want %d", total, b.N*len(bench.body))
			}
			c.Kill()
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 100)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = ws.AppendFrame(dst[:0], ws.Text, payload)
	}
}

// counter is a Source that has only to count: every frame is the same.
type counter struct {
	frame   []byte
	pending atomic.Int64
}

func (q *counter) Fill(dst []byte, max int) ([]byte, bool) {
	for n := q.pending.Load(); n > 0; n = q.pending.Add(-1) {
		if len(dst) >= max {
			return dst, true
		}
		dst = append(dst, q.frame...)
	}
	return dst, false
}

// BenchmarkFanOut sends messages of 100 bytes to 1,000 connections, a burst at a time, and
// waits until the clients have the burst. One operation is one message to all of them.
func BenchmarkFanOut(b *testing.B) {
	const clients = 1000
	for _, burst := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("burst%d", burst), func(b *testing.B) {
			s := serve(b, false)
			conns := make([]*ws.Conn, clients)
			sources := make([]counter, clients)
			frame := ws.AppendFrame(nil, ws.Text, bytes.Repeat([]byte("x"), 100))
			var left atomic.Int64 // bytes that the clients still wait for
			whole := make(chan struct{}, 1)
			for i := range conns {
				cl := s.dial(b, nil)
				cl.SetDeadline(time.Time{})
				conns[i] = s.accepted(b)
				sources[i].frame = frame
				conns[i].Start(&sources[i])
				go receive(cl, &left, whole)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += burst {
				size := min(burst, b.N-n)
				left.Store(int64(size * clients * len(frame)))
				for i, c := range conns {
					sources[i].pending.Add(int64(size))
					c.Wake()
				}
				<-whole
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)*clients/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// receive counts what arrives down from left and tells when nothing is left.
func receive(cl *client, left *atomic.Int64, whole chan<- struct{}) {
	buf := make([]byte, 16<<10)
	for {
		n, err := cl.Read(buf)
		if err != nil {
			return
		}
		if left.Add(-int64(n)) == 0 {
			whole <- struct{}{}
		}
	}
}
