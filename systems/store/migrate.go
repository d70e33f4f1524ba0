package store

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrate runs the migrations that the database has not seen.
func (s *Store) migrate(ctx context.Context, c Config, migrations fs.FS) error {
	dialect := goose.DialectSQLite3
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.dialect == postgresDialect {
		dialect = goose.DialectPostgres
		h := fnv.New64a() // one lock for each system on the server
		h.Write([]byte("hubbub store " + c.Name))
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(int64(h.Sum64())), lock.WithLockTimeout(1, 60))
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, s.write, words{migrations, s.dialect.words}, opts...)
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return err
	}
	done, err := p.Up(ctx)
	for _, m := range done {
		c.Logger.InfoContext(ctx, "store: migrated", "system", c.Name, "database", s.dialect.name, "version", m.Source.Version,
			"took", m.Duration.Round(time.Millisecond))
	}
	return err
}

// words is a file system whose SQL files have the words of a dialect replaced.
type words struct {
	fs.FS
	with map[string]string
}

// Open returns a file of the inner file system, or its text with the words replaced.
func (w words) Open(name string) (fs.File, error) {
	f, err := w.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := fs.ReadFile(w.FS, name)
	if err != nil {
		return nil, err
	}
	for word, s := range w.with {
		text = bytes.ReplaceAll(text, []byte(word), []byte(s))
	}
	return &textFile{bytes.NewReader(text), sized{info, int64(len(text))}}, nil
}

// ReadDir lists the inner file system.
func (w words) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(w.FS, name) }

type textFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *textFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *textFile) Close() error               { return nil }

type sized struct {
	fs.FileInfo
	n int64
}

func (s sized) Size() int64 { return s.n }
