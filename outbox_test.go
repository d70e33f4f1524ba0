package hubbub_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hubbub-go/hubbub"
)

func drain(o *hubbub.Outbox) (all []string) {
	o.Take(func(b []byte, _ hubbub.MessageType) bool { all = append(all, string(b)); return true })
	return all
}

func TestOutboxBounds(t *testing.T) {
	t.Parallel()
	wakes := 0
	o := hubbub.NewOutbox(10, func() { wakes++ })
	for _, step := range []struct {
		push string
		want error
	}{{"a larger one than the limit", nil}, {"b", hubbub.ErrSlow}} {
		if err := o.Push([]byte(step.push), hubbub.TypePing); !errors.Is(err, step.want) {
			t.Errorf("push %q: %v, want %v", step.push, err, step.want)
		}
	}
	if wakes != 1 {
		t.Errorf("%d wakes, want 1: a refused message is nothing to take", wakes)
	}
	drain(o)
	for _, step := range []struct {
		push string
		want error
	}{{"12345", nil}, {"123456", hubbub.ErrSlow}, {"12345", nil}, {"1", hubbub.ErrSlow}} {
		if err := o.Push([]byte(step.push), hubbub.TypePing); !errors.Is(err, step.want) {
			t.Errorf("push %q: %v, want %v", step.push, err, step.want)
		}
	}
	if n, bytes := o.Len(); n != 2 || bytes != 10 {
		t.Errorf("%d messages of %d bytes wait, want 2 of 10", n, bytes)
	}
	first := true
	left := o.Take(func(_ []byte, typ hubbub.MessageType) bool {
		defer func() { first = false }()
		return first && typ == hubbub.TypePing
	})
	if n, bytes := o.Len(); left != 1 || n != 1 || bytes != 5 {
		t.Errorf("%d left, %d messages of %d bytes, want 1, 1 of 5", left, n, bytes)
	}
}

func TestOutboxFinish(t *testing.T) {
	t.Parallel()
	wakes := 0
	o := hubbub.NewOutbox(4, func() { wakes++ })
	must(t, o.Push([]byte("1234"), 0))
	o.Finish([]byte("the last word"), hubbub.TypeClose)
	o.Finish([]byte("not another"), hubbub.TypeClose)
	if err := o.Push(nil, 0); !errors.Is(err, hubbub.ErrClosed) || !o.Closed() {
		t.Errorf("push after Finish: %v, want ErrClosed", err)
	}
	if err := o.PushWait(t.Context(), nil, 0, time.Hour); !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("PushWait after Finish: %v, want ErrClosed", err)
	}
	if got := fmt.Sprint(drain(o)); got != "[1234 the last word]" || wakes != 2 {
		t.Errorf("took %s after %d wakes", got, wakes)
	}
	o = hubbub.NewOutbox(4, func() {})
	must(t, o.Push([]byte("1"), 0))
	o.Discard()
	o.Finish([]byte("x"), 0)
	if n, bytes := o.Len(); n != 0 || bytes != 0 || !o.Closed() {
		t.Errorf("%d messages of %d bytes wait after Discard", n, bytes)
	}
}

func TestOutboxPushWait(t *testing.T) {
	t.Parallel()
	ended, stop := context.WithCancel(t.Context())
	stop()
	tests := []struct {
		name string
		ctx  context.Context
		do   func(o *hubbub.Outbox)
		want error
		took time.Duration
	}{
		{"nothing happens", t.Context(), func(*hubbub.Outbox) {}, hubbub.ErrSlow, time.Minute},
		{"room", t.Context(), func(o *hubbub.Outbox) { drain(o) }, nil, time.Second},
		{"finish", t.Context(), func(o *hubbub.Outbox) { o.Finish(nil, 0) }, hubbub.ErrClosed, time.Second},
		{"discard", t.Context(), func(o *hubbub.Outbox) { o.Discard() }, hubbub.ErrClosed, time.Second},
		{"the context has ended", ended, func(*hubbub.Outbox) {}, context.Canceled, 0},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			o := hubbub.NewOutbox(100, func() {})
			must(t, o.Push(make([]byte, 40), 0))
			must(t, o.PushWait(context.Background(), make([]byte, 10), 0, time.Minute)) // to one half
			go func() {
				time.Sleep(time.Second)
				test.do(o)
			}()
			ctx := test.ctx
			if ctx.Err() == nil {
				ctx = context.Background()
			}
			start := time.Now()
			err := o.PushWait(ctx, make([]byte, 1), 0, time.Minute)
			if took := time.Since(start); !errors.Is(err, test.want) || took != test.took {
				t.Errorf("%s: %v after %v, want %v after %v", test.name, err, took, test.want, test.took)
			}
			must2 := o.Push(make([]byte, 20), 0) // the other half is for those who cannot wait
			if errors.Is(must2, hubbub.ErrSlow) {
				t.Errorf("%s: no room for who cannot wait", test.name)
			}
			time.Sleep(time.Second)
		})
	}
}

// TestOutboxManyWaiters lets writers wait for room beside others who do not wait, while one reader takes a little at a time.
func TestOutboxManyWaiters(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 2000
	awake := make(chan struct{}, 1)
	o := hubbub.NewOutbox(300, func() {
		select {
		case awake <- struct{}{}:
		default:
		}
	})
	var all sync.WaitGroup
	var pushed atomic.Int64
	for w := range writers {
		all.Go(func() {
			for i := range each {
				b := binary.BigEndian.AppendUint32([]byte{byte(w)}, uint32(i))
				var err error
				if w%2 == 0 {
					err = o.PushWait(context.Background(), b, 0, patience)
				} else {
					err = o.Push(b, 0)
				}
				if err == nil {
					pushed.Add(1)
				} else if w%2 == 0 || !errors.Is(err, hubbub.ErrSlow) {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); o.Finish(nil, 0); close(done) }()
	var taken int64
	next := make([]uint32, writers)
	for end := false; !end; {
		end = o.Closed()
		for left := 1; left > 0; {
			turn := 0
			left = o.Take(func(b []byte, _ hubbub.MessageType) bool {
				if turn++; turn > 7 {
					return false
				}
				w, i := b[0], binary.BigEndian.Uint32(b[1:])
				if i < next[w] {
					t.Errorf("message %d of writer %d comes after %d", i, w, next[w]-1)
				}
				next[w] = i + 1
				taken++
				return true
			})
			if _, bytes := o.Len(); bytes > 300 {
				t.Fatalf("%d bytes wait, want at most 300", bytes)
			}
		}
		if !end {
			await(t, "something to take", awake)
		}
	}
	await(t, "the writers", done)
	if taken != pushed.Load() {
		t.Errorf("took %d messages of %d", taken, pushed.Load())
	}
}

// TestOutboxModel compares any sequence of operations with a list.
func TestOutboxModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 200).Draw(t, "limit")
		wakes, wantWakes := 0, 0
		o := hubbub.NewOutbox(limit, func() { wakes++ })
		var model [][]byte
		closed, serial := false, byte(0)
		size := func() (n int) {
			for _, b := range model {
				n += len(b)
			}
			return n
		}
		message := func(t *rapid.T) []byte {
			b := make([]byte, rapid.IntRange(1, 80).Draw(t, "size"))
			serial++
			b[0] = serial
			return b
		}
		expect := func(t *rapid.T, err error, b []byte, limit int) {
			want := error(nil)
			switch {
			case closed:
				want = hubbub.ErrClosed
			case size() > 0 && size()+len(b) > limit:
				want = hubbub.ErrSlow
			default:
				model = append(model, b)
				wantWakes++
			}
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("error %v, want %v", err, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				b := message(t)
				expect(t, o.Push(b, hubbub.TypePing), b, limit)
			},
			"wait": func(t *rapid.T) {
				b := message(t)
				expect(t, o.PushWait(context.Background(), b, hubbub.TypePing, 0), b, limit/2)
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, 10).Draw(t, "n")
				left := o.Take(func(b []byte, typ hubbub.MessageType) bool {
					if n == 0 {
						return false
					}
					if b[0] != model[0][0] || len(b) != len(model[0]) {
						t.Fatalf("took message %d, want %d", b[0], model[0][0])
					}
					n, model = n-1, model[1:]
					return true
				})
				if left != len(model) {
					t.Fatalf("%d messages left, want %d", left, len(model))
				}
			},
			"finish": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					return
				}
				b := message(t)
				o.Finish(b, hubbub.TypeClose)
				if !closed {
					model, wantWakes = append(model, b), wantWakes+1
				}
				closed = true
			},
			"discard": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					return
				}
				o.Discard()
				model, closed, wantWakes = nil, true, wantWakes+1
			},
			"": func(t *rapid.T) {
				if n, bytes := o.Len(); n != len(model) || bytes != size() || o.Closed() != closed || wakes != wantWakes {
					t.Fatalf("%d messages of %d bytes, closed %v, %d wakes; want %d of %d, %v, %d",
						n, bytes, o.Closed(), wakes, len(model), size(), closed, wantWakes)
				}
			},
		})
	})
}
