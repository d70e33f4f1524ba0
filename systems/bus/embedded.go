package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startServer starts the server inside the process. It opens no port.
func startServer(c *Config) (*server.Server, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	o := &server.Options{
		ServerName: "hubbub-" + c.Name, DontListen: true, NoSigs: true, NoSystemAccount: true,
		JetStream: true, StoreDir: filepath.Join(c.Dir, c.Name), SyncInterval: max(c.SyncInterval, 0), SyncAlways: c.SyncInterval < 0,
		JetStreamMaxMemory: 16 << 20, JetStreamMaxStore: c.MaximumBytes + maximumDeadBytes + 1<<20, MaxPayload: MaximumBody + 64<<10,
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.SetLoggerV2(serverLog{c.Logger}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		stopServer(s)
		return nil, errors.New("the NATS server inside the process was not ready after 30 s")
	}
	if !s.JetStreamEnabled() {
		stopServer(s)
		return nil, fmt.Errorf("JetStream did not start in %s", o.StoreDir)
	}
	return s, nil
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// serverLog passes on what the server has to say: its notices are of no interest to anybody but those who debug it.
type serverLog struct{ log *slog.Logger }

func (l serverLog) say(level slog.Level, format string, v []any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "bus: nats: "+strings.TrimSpace(fmt.Sprintf(format, v...)))
	}
}

func (l serverLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l serverLog) Warnf(format string, v ...any)   { l.say(slog.LevelDebug, format, v) }
func (l serverLog) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l serverLog) Fatalf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l serverLog) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l serverLog) Tracef(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
