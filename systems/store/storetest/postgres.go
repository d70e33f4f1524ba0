package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// missing is what a person has to do where there is no PostgreSQL.
const missing = "PostgreSQL is not installed: run `make test`, whose scripts install it, or `apt-get install -y postgresql-15`"

// server is the one PostgreSQL of a test process.
type server struct {
	dir  string
	port int
	cmd  *exec.Cmd
	done chan struct{}
	// alive is the writing end of what the guard reads: it ends with this process.
	alive *os.File
	// keep leaves the folder where it is when the server ends.
	keep bool
}

var (
	once     sync.Once
	running  *server
	startErr error
	made     atomic.Int64
)

// Main runs the tests, stops the PostgreSQL server that [Postgres] may have started, and returns the exit code. A package whose
// tests call [Postgres] calls it in its TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
//
// After it, each check runs; one that fails, such as for a goroutine that is left, makes the exit code 1.
func Main(m *testing.M, checks ...func() error) int {
	code := m.Run()
	if running != nil {
		if err := running.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if code != 0 {
		return code
	}
	for _, check := range checks {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Postgres returns the URL of a new, empty database, dropped when the test ends. The server behind it is the installed
// PostgreSQL, started by the first call on a free port of 127.0.0.1 with a data folder of its own, and stopped by [Main]. The
// test fails if PostgreSQL is not installed.
func Postgres(t testing.TB) string {
	t.Helper()
	once.Do(func() { running, startErr = start() })
	if startErr != nil {
		t.Fatal(startErr)
	}
	name := fmt.Sprintf("test%d", made.Add(1))
	if err := running.run(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.run(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return running.url(name)
}

// bin returns the folder of the server's programs: Debian keeps those of several versions side by side, and none in the PATH.
func bin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	p, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New(missing)
	}
	return filepath.Dir(p), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func start() (*server, error) {
	programs, err := bin()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		s := &server{done: make(chan struct{})}
		if s.dir, err = os.MkdirTemp("", "storetest"); err != nil {
			return nil, err
		}
		if err = s.start(programs); err == nil {
			return s, nil
		}
		os.RemoveAll(s.dir)
		if try == 3 { // somebody may take the free port first
			return nil, fmt.Errorf("storetest: start PostgreSQL: %w", err)
		}
	}
}

func (s *server) start(programs string) error {
	as, err := s.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := command(as, filepath.Join(programs, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
		"--locale=C")
	initdb.Dir = s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.listen(as, filepath.Join(programs, "postgres"), data)
}

// owner makes the folder belong to the user that PostgreSQL runs as, and returns its name: PostgreSQL refuses to run as root.
func (s *server) owner() (string, error) {
	if os.Getuid() != 0 {
		return "", nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return "", err
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return u.Username, os.Chown(s.dir, uid, gid)
}

// command runs a program as another user by setpriv, which becomes the program instead of waiting for it, so that signals
// reach it.
func command(as, program string, args ...string) *exec.Cmd {
	if as == "" {
		return exec.Command(program, args...)
	}
	return exec.Command("setpriv", append([]string{"--reuid=" + as, "--regid=" + as, "--clear-groups", "--", program}, args...)...)
}

// guard runs the server and ends it when its own input ends: when stop closes it, or when the test process dies. Then it also
// removes the folder, its first argument, if there is one.
const guard = `dir=$1; shift; exec 3<&0; "$@" 3<&- & pid=$!
(cat <&3 >&2; kill -INT $pid; while kill -0 $pid; do sleep 0.05; done; rm -rf "$dir") 2>/dev/null &
exec 3<&-; wait $pid`

func (s *server) listen(as, program, data string) error {
	if s.port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	in, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	s.alive = alive
	goes := s.dir
	if s.keep {
		goes = ""
	}
	s.cmd = command(as, "/bin/sh", "-c", guard, "guard", goes, program, "-D", data, "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200",
		"-c", "shared_buffers=32MB")
	s.cmd.Dir = s.dir
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = in, log, log
	if err := s.cmd.Start(); err != nil {
		alive.Close()
		return err
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	if err := s.answers(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return errors.Join(fmt.Errorf("%w\n%s", err, said), s.stop())
	}
	return nil
}

// answers waits until the server answers.
func (s *server) answers() error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := s.run(context.Background(), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("postgres ended: %s", s.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres does not answer: %w", err)
		}
	}
}

func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

func (s *server) run(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("storetest: %s: %w", strings.ToLower(statement), err)
	}
	return nil
}

// stop ends the server at once, connected or not, and removes its data.
func (s *server) stop() error {
	defer os.RemoveAll(s.dir)
	s.alive.Close()
	select {
	case <-s.done:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("storetest: PostgreSQL did not stop in 20 s")
	}
}
