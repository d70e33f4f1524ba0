package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hubbub-go/hubbub/cmd/hubbub/bench"
	"github.com/hubbub-go/hubbub/cmd/hubbub/console"
)

// Exit codes. They never change their meaning; docs/operating.md lists them.
const (
	exitOK     = 0
	exitFailed = 1 // it ran, and then something went wrong
	exitUsage  = 2 // the command line is wrong
	exitConfig = 3 // the configuration or the keys cannot be used
	exitStart  = 4 // the address or the store cannot be had
	exitCut    = 5 // it stopped, but connections had to be cut because the time for closing them was over
	exitKilled = 6 // a second signal cut the stopping short
)

// Program is one run of the binary as a value, so that a test can have several at a time.
type Program struct {
	Args    []string // without the program's name
	Environ []string // NAME=value
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Stop begins the orderly end of serve with its first value; with the second it ends at once. Nil: never.
	Stop <-chan os.Signal
	// Reload makes serve read the configuration again with each value. Nil: only changed files do.
	Reload <-chan os.Signal
	// Kill is called when the second value has come. It may be nil.
	Kill func()

	file string // of --config
}

// Run does what Args say and returns the exit code. It blocks until that is done.
func (p *Program) Run() int {
	root := p.command()
	root.SetArgs(p.Args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	code, usage := exitUsage, true
	var failed *failure
	var config *configError
	var client *console.Failure
	switch {
	case errors.As(err, &failed):
		code, usage = failed.code, false
	case errors.As(err, &client):
		code, usage = client.Code, false
	case errors.As(err, &config):
		code, usage = exitConfig, false
	}
	fmt.Fprintf(p.Stderr, "hubbub: %v\n", err)
	if usage {
		fmt.Fprintln(p.Stderr, "hubbub: see hubbub --help")
	}
	return code
}

// failure is an error with its exit code. An error of cobra has none, and is about the command line.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail gives err an exit code, unless it is a [configError], which has one.
func fail(code int, err error) error {
	var config *configError
	if err == nil || errors.As(err, &config) {
		return err
	}
	return &failure{code, err}
}

func (p *Program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "hubbub",
		Short:         "A SignalR server, systems that stand on it, and clients of any SignalR server",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.AddGroup(&cobra.Group{ID: "server", Title: "The server:"}, &cobra.Group{ID: console.GroupID, Title: "Clients of any SignalR server:"})
	root.PersistentFlags().StringVar(&p.file, "config", "", "YAML `FILE` with the configuration (HUBBUB_CONFIG)")
	for _, c := range []*cobra.Command{p.serveCommand(), p.tokenCommand(), p.hashCommand(), p.configCommand(), p.keysCommand()} {
		c.GroupID = "server"
		root.AddCommand(c)
	}
	root.AddCommand(p.console().Commands()...)
	root.AddCommand(p.versionCommand())
	root.AddCommand(bench.Command(bench.Streams{In: p.Stdin, Out: p.Stdout, Err: p.Stderr}, func(err error) error { return fail(exitFailed, err) }))
	return root
}

// console is what the commands that are clients run in.
func (p *Program) console() *console.Console {
	return &console.Console{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Environ: p.Environ, Stop: p.Stop, Kill: p.Kill}
}

// settingFlag adds flags that are settings too.
func settingFlag(flags *pflag.FlagSet, names ...string) {
	usage := map[string]string{
		"listen":     "address to listen on, `HOST:PORT` (default 127.0.0.1:8080)",
		"data":       "`folder` of keys and state (default ./hubbub-data)",
		"database":   "`postgres://…` keeps the state in PostgreSQL; default SQLite in the data folder",
		"log-level":  "least `level` to log: debug, info, warn or error (default info)",
		"log-format": "log `format`: text, json or auto (default auto)",
		"only":       "run this `service` of Play Economy alone, at its own port: catalog, inventory, identity or trading",
	}
	for _, n := range names {
		flags.String(n, "", usage[n])
	}
}

// load reads the configuration as file, environment and the flags of c say.
func (p *Program) load(c *cobra.Command) (*loaded, error) {
	flags := map[string]string{}
	c.Flags().Visit(func(f *pflag.Flag) {
		if settingFlags[f.Name] != "" {
			flags[f.Name] = f.Value.String()
		}
	})
	file, environ := p.file, make([]string, 0, len(p.Environ))
	for _, e := range p.Environ {
		if value, ok := cutVariable(e, "HUBBUB_CONFIG"); ok {
			if file == "" {
				file = value
			}
			continue
		}
		environ = append(environ, e)
	}
	return load(file, environ, flags)
}

func cutVariable(e, name string) (value string, ok bool) {
	if len(e) > len(name) && e[:len(name)] == name && e[len(name)] == '=' {
		return e[len(name)+1:], true
	}
	return "", false
}

func (p *Program) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server. With nothing configured it is in development mode: on 127.0.0.1:8080, with keys of its own making,
a demo user, and its state in ./hubbub-data. It prints "listening on URL" when it is ready.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := p.load(c)
			if err != nil {
				return err
			}
			log := newLogger(p.Stderr, l.Log.Level, l.Log.Format)
			for _, name := range l.unknown {
				log.Warn("environment variable is no setting", "name", name)
			}
			s, err := newServer(c.Context(), l, log)
			if err != nil {
				return err
			}
			return p.serve(s, log, newReloader(l, func() (*loaded, error) { return p.load(c) }, s))
		},
	}
	settingFlag(c.Flags(), "listen", "data", "database", "log-level", "log-format", "only")
	return c
}

// serve runs s until it is told to stop, and then as long as that takes.
func (p *Program) serve(s *server, log *slog.Logger, r *reloader) error {
	defer s.close()
	ctx, cancel := context.WithCancel(context.Background())
	var reloading sync.WaitGroup
	reloading.Go(func() { r.run(ctx, p.Reload) })
	defer reloading.Wait()
	defer cancel()
	s.welcome(p.Stderr)
	fmt.Fprintf(p.Stdout, "listening on %s\n", s.url)
	select {
	case err := <-s.failed:
		return fail(exitFailed, err)
	case sig := <-p.Stop:
		log.Info("stopping", "signal", fmt.Sprint(sig), "timeout", s.config.Drain.Timeout.String())
	}
	began := time.Now()
	killed := make(chan struct{})
	drained := make(chan error, 1)
	go func() { drained <- s.drain(killed) }()
	var err error
	select {
	case err = <-drained:
	case <-p.Stop:
		if p.Kill != nil {
			p.Kill()
		}
		close(killed)
		<-drained
		return fail(exitKilled, errors.New("stopped at once by a second signal"))
	}
	if err != nil {
		return fail(exitCut, err)
	}
	log.Info("stopped", "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

func (p *Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.Stdout, "hubbub", versionText())
			return fail(exitFailed, err)
		},
	}
}
