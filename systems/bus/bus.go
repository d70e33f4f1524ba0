package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrClosed is the error of calls on a bus that was closed.
var ErrClosed = errors.New("the bus is closed")

// Bus is a connection to the messages of one system. It is safe for concurrent use.
type Bus struct {
	config Config
	queues []Queue
	server *server.Server // nil if it is elsewhere
	conn   *nats.Conn
	js     jetstream.JetStream

	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	closed sync.Once
	work   sync.WaitGroup // consumers

	mu   sync.Mutex
	last error // of the connection
}

// The pauses between tries of what a server that is away will do later.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// Open starts the server or connects to it, and declares the queues of the system: what is published for a queue that nobody
// ever declared is lost. It blocks until all of that is done or ctx ends. Afterwards a server elsewhere may go away and come
// back, with what it had on its disk: the bus connects again for ever. Close the bus when done.
func Open(ctx context.Context, c Config, queues ...Queue) (*Bus, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("bus: open: %w", err)
	}
	for _, q := range queues {
		if err := q.check(); err != nil {
			return nil, fmt.Errorf("bus: open: %w", err)
		}
	}
	b := &Bus{config: c, queues: queues}
	b.ctx, b.stop = context.WithCancel(context.Background())
	if err := b.open(ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("bus: open %s: %w", c.Name, err)
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) error {
	opts := []nats.Option{
		nats.Name("hubbub " + b.config.Name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(5 * time.Second),
		nats.DisconnectErrHandler(b.disconnected), nats.ReconnectHandler(b.reconnected), nats.ErrorHandler(b.troubled),
	}
	url := b.config.URL
	if url == "" {
		var err error
		if b.server, err = startServer(&b.config); err != nil {
			return err
		}
		opts = append(opts, nats.InProcessServer(b.server))
	}
	if b.config.Credentials != "" {
		opts = append(opts, nats.UserCredentials(b.config.Credentials))
	}
	var err error
	if b.conn, err = nats.Connect(url, opts...); err != nil {
		return err
	}
	if b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(5*time.Second), jetstream.WithPublishAsyncTimeout(5*time.Second),
		jetstream.WithPublishAsyncMaxPending(4096)); err != nil {
		return err
	}
	return b.again(ctx, b.declare)
}

// declare makes the streams and the queues, or leaves them as they are.
func (b *Bus) declare(ctx context.Context) error {
	c := &b.config
	// A message goes when every queue that wants it has acknowledged it; past the bound new ones are refused, and so wait in the
	// outbox of their sender.
	if _, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: c.Name, Subjects: []string{c.Name + ".>"}, Retention: jetstream.InterestPolicy, Discard: jetstream.DiscardNew,
		MaxBytes: c.MaximumBytes, Duplicates: 2 * time.Minute, Replicas: c.Replicas,
	}); err != nil {
		return fmt.Errorf("stream %s: %w", c.Name, err)
	}
	if _, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: b.deadStream(), Subjects: []string{b.deadStream() + ".>"}, Discard: jetstream.DiscardOld, MaxAge: c.KeepDead,
		MaxBytes: maximumDeadBytes, Duplicates: 2 * time.Minute, Replicas: c.Replicas, AllowDirect: true,
	}); err != nil {
		return fmt.Errorf("stream %s: %w", b.deadStream(), err)
	}
	for _, q := range b.queues {
		if _, err := b.declareQueue(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) declareQueue(ctx context.Context, q Queue) (jetstream.Consumer, error) {
	subjects := make([]string, len(q.Topics))
	for i, t := range q.Topics {
		subjects[i] = b.subject(t)
	}
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, b.config.Name, jetstream.ConsumerConfig{
		Durable: q.Name, FilterSubjects: subjects, AckPolicy: jetstream.AckExplicitPolicy, AckWait: b.config.AckWait,
		MaxDeliver: -1, MaxAckPending: 1024, MaxWaiting: 128,
	})
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", q.Name, err)
	}
	return consumer, nil
}

func (b *Bus) subject(topic string) string { return b.config.Name + "." + topic }
func (b *Bus) deadStream() string          { return b.config.Name + "-dead" }

// again does f until it succeeds, fails in a way that waiting does not cure, or ctx or the bus ends.
func (b *Bus) again(ctx context.Context, f func(ctx context.Context) error) error {
	pause := firstPause
	for {
		err := f(ctx)
		if err == nil || !passing(err) {
			return err
		}
		b.note(err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%w, after %w", ctx.Err(), err)
		case <-b.ctx.Done():
			t.Stop()
			return ErrClosed
		}
		pause = min(2*pause, lastPause)
	}
}

// passing reports whether err may be gone on another try: the server is away, is starting, elects a leader, or is full.
func passing(err error) bool {
	for _, e := range []error{
		nats.ErrDisconnected, nats.ErrReconnectBufExceeded, nats.ErrNoServers, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionReconnecting,
		nats.ErrStaleConnection, jetstream.ErrNoStreamResponse, jetstream.ErrAsyncPublishTimeout, jetstream.ErrTooManyStalledMsgs,
		jetstream.ErrJetStreamNotEnabled, context.DeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		// 503 is what a server says that could do it later; 10077 is a stream that is full, 10005 a cluster that is still forming.
		return e.Code == 503 || e.ErrorCode == 10077 || e.ErrorCode == 10005
	}
	return false
}

func (b *Bus) note(err error) {
	b.mu.Lock()
	b.last = err
	b.mu.Unlock()
}

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	if err != nil && b.ctx.Err() == nil {
		b.note(err)
		b.config.Logger.Warn("bus: connection lost", "system", b.config.Name, "error", err)
	}
}

func (b *Bus) reconnected(c *nats.Conn) {
	b.config.Logger.Info("bus: connected again", "system", b.config.Name, "server", c.ConnectedServerName())
}

func (b *Bus) troubled(_ *nats.Conn, _ *nats.Subscription, err error) {
	if b.ctx.Err() == nil {
		b.config.Logger.Debug("bus: nats", "system", b.config.Name, "error", err)
	}
}

// Ready reports whether messages can be published: whether the server answers and the streams are there. It blocks until the
// server answers, 3 s at most, or ctx ends.
func (b *Bus) Ready(ctx context.Context) error {
	if b.ctx.Err() != nil {
		return fmt.Errorf("bus: %w", ErrClosed)
	}
	if !b.conn.IsConnected() {
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Errorf("bus: not connected: %w", cmpErr(b.last, nats.ErrDisconnected))
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := b.js.Stream(ctx, b.config.Name); err != nil {
		return fmt.Errorf("bus: stream %s: %w", b.config.Name, err)
	}
	return nil
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Close stops the consumers, waits until their handlers have returned, and closes the connection and the server inside the
// process. What was published stays on the disk.
func (b *Bus) Close() error {
	b.closed.Do(func() {
		b.stop()
		b.work.Wait()
		if b.conn != nil {
			b.conn.FlushTimeout(2 * time.Second) // acknowledgements; those that are lost come again
			b.conn.Close()
		}
		if b.server != nil {
			stopServer(b.server)
		}
	})
	return nil
}
