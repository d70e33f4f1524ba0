package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// Config says where the messages are. Zero fields have the default of their comment.
type Config struct {
	// URL of one or more NATS servers with JetStream, nats://host:4222 or tls://…, separated by commas, with user and password
	// if they want one. Default "": a server inside the process.
	URL string
	// Credentials is a file of NATS credentials (JWT and seed) for URL. Default: none.
	Credentials string
	// Dir is the folder of the server inside the process, made with mode 0700 if it is missing; one process at a time may use
	// it. Needed without URL.
	Dir string
	// Name of the system: the prefix of its topics and the name of its streams. Lower-case letters, digits and -, beginning with a
	// letter, at most 40. Needed.
	Name string
	// Replicas is how many servers of a cluster at URL keep each message, 1, 3 or 5. Default 1.
	Replicas int
	// SyncInterval is how long the server inside the process may keep in the page cache what it has acknowledged. It matters when
	// the machine stops, not when the process does: then [Bus.Settle] says what senders have to keep themselves. Default 200 ms;
	// negative: each message is on the disk before its Publish returns, which takes the disk's time for each of them.
	SyncInterval time.Duration
	// MaximumBytes bounds the messages that wait. Past it Publish waits too. Default 1 GiB.
	MaximumBytes int64
	// AckWait is how long a delivery may be with a consumer that has died before another one gets it; a consumer that lives
	// prolongs it by itself. Default 5 s.
	AckWait time.Duration
	// KeepDead is how long dead letters stay. Default 30 days.
	KeepDead time.Duration
	// Logger hears of lost and new connections and of dead letters. Default slog.Default().
	Logger *slog.Logger

	settle time.Duration
}

// How often the server inside the process brings messages to the disk, and how long that may take.
const (
	syncInterval = 200 * time.Millisecond
	settleTime   = 2 * time.Second
)

// MaximumBody is the most bytes that the body of a message may have.
const MaximumBody = 512 << 10

// maximumDeadBytes bounds the dead letters; the oldest go first.
const maximumDeadBytes = 256 << 20

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Queue is a place where messages wait for one service: each message of its topics goes to one of the consumers of the queue.
type Queue struct {
	// Name has the form of [Config.Name].
	Name string
	// Topics that it gets, at least one.
	Topics []string
}

func (c *Config) setDefaults() error {
	if !nameRule.MatchString(c.Name) {
		return fmt.Errorf("name %q: want a lower-case letter, then letters, digits and -, at most 40", c.Name)
	}
	if c.URL == "" && c.Dir == "" {
		return errors.New("no folder for the server inside the process, want Config.Dir or the URL of a NATS server")
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.MaximumBytes == 0 {
		c.MaximumBytes = 1 << 30
	}
	if c.AckWait == 0 {
		c.AckWait = 5 * time.Second
	}
	c.settle = 0
	if c.SyncInterval == 0 && c.URL == "" {
		c.SyncInterval, c.settle = syncInterval, settleTime
	}
	if c.KeepDead == 0 {
		c.KeepDead = 30 * 24 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

func (q Queue) check() error {
	if !nameRule.MatchString(q.Name) {
		return fmt.Errorf("queue %q: want a lower-case letter, then letters, digits and -, at most 40", q.Name)
	}
	if len(q.Topics) == 0 {
		return fmt.Errorf("queue %s has no topic, want at least one", q.Name)
	}
	for _, t := range q.Topics {
		if err := checkTopic(t); err != nil {
			return fmt.Errorf("queue %s: %w", q.Name, err)
		}
	}
	return nil
}

func checkTopic(topic string) error {
	words := 0
	good := true
	for word := range strings.SplitSeq(topic, ".") {
		words++
		good = good && len(word) >= 1 && len(word) <= 80
		for i := range len(word) {
			c := word[i]
			good = good && (c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9')
		}
	}
	if !good || words > 4 {
		return fmt.Errorf("topic %q: want one to four words of letters and digits with dots between", topic)
	}
	return nil
}
