package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Streams are what the command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Command is `hubbub bench`. Failed marks an error as one that came up while it ran, not one of the command line.
func Command(s Streams, failed func(error) error) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Put load on a SignalR server and measure what it does",
		Long: `Put load on any SignalR server and measure speed, latency, what was lost, doubled or out of order, and what it cost.
Latencies count from the time at which a message was due. With --limit the same load runs against a plain TCP server that does
one write(2) a message, with --beside against a second server, in turns with the first, and the ratios are shown.`,
		Example: `  hubbub bench invoke http://127.0.0.1:5000/testhub --pid 4711 --limit
  hubbub bench invoke http://127.0.0.1:5000/testhub --pipeline 16 --runs 5
  hubbub bench broadcast http://127.0.0.1:5000/testhub --connections 1000 --rate 1000000 --html report.html
  hubbub bench broadcast http://127.0.0.1:5000/testhub --burst 100 --limit --pid 4711
  hubbub bench idle http://127.0.0.1:5000/testhub --connections 50000 --sources 10 --workers 7 --pid 4711
  hubbub bench events http://127.0.0.1:8080/realtimehub --groups 1 --rate 20000 --token TOKEN
  hubbub bench purchases http://127.0.0.1:8080 --data ./data --players 1000 --rate 1000 --duration 60s
  hubbub bench compare before.json after.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	b := &builder{s, failed}
	for _, m := range modes {
		c.AddCommand(b.mode(m, wireHub))
	}
	c.AddCommand(b.purchases(), b.raw(), b.compare(), b.worker())
	return c
}

type builder struct {
	Streams
	failed func(error) error
}

// modeInfo is what a mode says of itself.
type modeInfo struct {
	mode  Mode
	short string
	job   Job // its defaults
}

// modes lists all, with loads that any laptop can carry.
var modes = []modeInfo{
	{Echo, "Chunks to a raw connection endpoint and back", Job{Connections: 50}},
	{Invoke, "Invocations with a result, one or --pipeline of them under way on each connection, or at a --rate", Job{Connections: 50}},
	{Broadcast, "One sender, everybody hears it: paced by --rate deliveries a second, or in --burst", Job{Connections: 1000, Rate: 20_000}},
	{Groups, "One sender in each group, its members hear it, and nobody else may", Job{Connections: 1000, Rate: 20_000, Groups: 50}},
	{Churn, "A broadcast while other connections come, call a method and go", Job{Connections: 500, Rate: 20_000, ChurnRate: 100}},
	{Storm, "All connections are cut at once and come back, --rounds times", Job{Connections: 1000, Rounds: 3, Parallel: 256}},
	{Slow, "A broadcast while --stalled clients do not read", Job{Connections: 500, Rate: 50_000, Stalled: 5}},
	{Idle, "Connections that do nothing, and the memory they cost", Job{Connections: 5000}},
	{Connect, "Connections are set up, --parallel at a time", Job{Connections: 2000}},
	{Soak, "Broadcast, invocations and churn together, for long", Job{Connections: 500, Rate: 10_000, ChurnRate: 10, Duration: 10 * time.Minute}},
	{Events, "Clients of an event hub subscribe with cookies, --groups events in all, which are triggered over REST", Job{Connections: 1000, Rate: 1000, Groups: 10_000}},
}

// asked is what the flags of a mode say.
type asked struct {
	job        Job
	headers    []string
	token      string
	pid        int
	beside     string
	besidePID  int
	post       string // addresses for the messages of a broadcast
	besidePost string
	limit      bool
	runs       int
	json       bool
	html       string
	out        string
}

func (b *builder) mode(info modeInfo, wire Wire) *cobra.Command {
	a := &asked{job: info.job}
	a.job.Mode = info.mode
	c := &cobra.Command{
		Use: string(info.mode) + " URL", Short: info.short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			a.job.Target = Target{Name: "server", URL: args[0], Wire: wire, Post: a.post, PID: a.pid}
			if info.mode == Echo && wire == wireHub {
				a.job.Target.Wire = wireEcho
			}
			return b.run(c.Context(), a)
		},
	}
	a.flags(c.Flags(), info)
	return c
}

func (a *asked) flags(f *pflag.FlagSet, info modeInfo) {
	j, d := &a.job, info.job
	orElse := func(v, other int) int {
		if v == 0 {
			return other
		}
		return v
	}
	duration := d.Duration
	if duration == 0 {
		duration = 5 * time.Second
	}
	f.IntVarP(&j.Connections, "connections", "c", d.Connections, "`number` of connections")
	f.DurationVarP(&j.Duration, "duration", "d", duration, "`time` for which the load lasts")
	f.IntVar(&j.Size, "size", 100, "`bytes` of each message's text")
	f.Float64Var(&j.Rate, "rate", d.Rate, "deliveries or calls `a second` that are offered; 0: calls follow their answers")
	f.IntVar(&j.Pipeline, "pipeline", 1, "`calls` under way on each connection")
	f.IntVar(&j.Burst, "burst", 0, "`messages` sent at once, again and again, instead of --rate")
	f.IntVar(&j.Groups, "groups", d.Groups, "`number` of groups")
	f.Float64Var(&j.ChurnRate, "churn", d.ChurnRate, "connections `a second` that come and go beside a broadcast")
	f.IntVar(&j.Stalled, "stalled", d.Stalled, "`clients` that do not read")
	f.IntVar(&j.Rounds, "rounds", d.Rounds, "`times` that a storm cuts everybody")
	f.IntVar(&j.Parallel, "parallel", orElse(d.Parallel, 32), "`connections` under set-up at a time, in each worker")
	f.IntVar(&j.Sources, "sources", 0, "`number` of source addresses, 127.0.0.2 and on, for more connections than an address has ports")
	f.IntVar(&j.Workers, "workers", 0, "`processes` that carry the load (default: one for 8000 connections)")
	f.DurationVar(&j.Drain, "drain", 10*time.Second, "longest `time` to wait for what was sent")
	f.StringVar(&j.Protocol, "protocol", protocolJSON, "hub `protocol`: json or messagepack")
	f.StringVar(&j.Transport, "transport", transportWebSockets, "`transport`: websockets, sse or longpolling")
	f.BoolVar(&j.Negotiate, "negotiate", false, "negotiate before every connection; always so with sse and longpolling")
	f.BoolVarP(&j.Insecure, "insecure", "k", false, "accept any certificate")
	f.StringArrayVarP(&a.headers, "header", "H", nil, "`NAME: VALUE` to send with every request")
	f.StringVar(&a.token, "token", "", "bearer `TOKEN`")
	m := DefaultMethods()
	f.StringVar(&j.Methods.Echo, "echo-method", m.Echo, "`METHOD` that returns its text")
	f.StringVar(&j.Methods.All, "all-method", m.All, "`METHOD` that sends its text to everybody")
	f.StringVar(&j.Methods.Join, "join-method", m.Join, "`METHOD` that puts its caller into a group")
	f.StringVar(&j.Methods.Sequence, "sequence-method", m.Sequence, "`METHOD` that sends Item(0) and on to its caller, as many as it is told; empty: none")
	f.StringVar(&j.Methods.Subscribe, "subscribe-method", m.Subscribe, "`METHOD` that subscribes its caller to an event with a cookie")
	f.StringVar(&j.Methods.Trigger, "trigger-path", m.Trigger, "`PATH` to which {\"eventguid\": …} is posted")
	f.StringVar(&j.Methods.Group, "group-method", m.Group, "`METHOD` that sends to a group its text")
	f.IntVar(&a.pid, "pid", 0, "`process` of the server, on this machine, whose CPU and memory are sampled")
	f.StringVar(&a.beside, "beside", "", "`URL` of a second server for the same load")
	f.StringVar(&a.post, "post", "", "`URL` that takes the messages of a broadcast as JSON arrays of one text, instead of --all-method; such as a gateway's")
	f.StringVar(&a.besidePost, "beside-post", "", "the same `URL` of the second server; empty: --all-method")
	f.IntVar(&a.besidePID, "beside-pid", 0, "`process` of the second server")
	f.BoolVar(&a.limit, "limit", false, "the same load on a plain TCP server, on the processors of --pid")
	f.IntVar(&a.runs, "runs", 1, "`number` of runs, in turns; medians are shown")
	f.BoolVar(&a.json, "json", false, "the report as JSON on standard output")
	f.StringVarP(&a.out, "out", "o", "", "`FILE` for the report as JSON")
	f.StringVar(&a.html, "html", "", "`FILE` for the report as a page")
	// Flags that say nothing to a mode are not shown in its help.
	hide := func(names ...string) {
		for _, n := range names {
			_ = f.MarkHidden(n) // it exists
		}
	}
	if !info.mode.fans() {
		hide("burst", "churn", "stalled", "all-method", "join-method", "group-method")
	}
	if info.mode == Events {
		hide("echo-method", "limit")
	} else {
		hide("subscribe-method", "trigger-path")
		if !info.mode.fans() {
			hide("groups")
		}
	}
	if info.mode != Broadcast {
		hide("post", "beside-post")
	}
	if info.mode != Soak {
		hide("sequence-method")
	}
	if info.mode != Storm {
		hide("rounds")
	}
}

func (b *builder) run(ctx context.Context, a *asked) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	a.job.Header = map[string]string{}
	for _, h := range a.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return fmt.Errorf("header %q: want NAME: VALUE", h)
		}
		a.job.Header[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if a.token != "" {
		a.job.Header["Authorization"] = "Bearer " + a.token
	}
	if a.runs < 1 || a.runs > 100 {
		return fmt.Errorf("runs are %d, want 1 to 100", a.runs)
	}
	if err := a.job.check(); err != nil {
		return err
	}
	var others []Target
	if a.beside != "" {
		others = append(others, Target{Name: "beside", URL: a.beside, Wire: a.job.Target.Wire, Post: a.besidePost, PID: a.besidePID})
	}
	r, err := Run(ctx, a.job, others, a.limit, a.runs, b.Err)
	if err != nil {
		return b.failed(err)
	}
	return b.failed(b.write(r, a))
}

func (b *builder) write(r *Report, a *asked) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if a.out != "" {
		if err := os.WriteFile(a.out, text, 0o644); err != nil {
			return err
		}
	}
	if a.html != "" {
		if err := os.WriteFile(a.html, r.HTML(), 0o644); err != nil {
			return err
		}
	}
	if a.json {
		_, err = b.Out.Write(text)
		return err
	}
	return r.WriteTable(b.Out)
}

func (b *builder) raw() *cobra.Command {
	c := &cobra.Command{
		Use: "raw", Short: "The limit: a plain TCP server, and the same load on it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	listen, leashed := "127.0.0.1:7411", false
	serve := &cobra.Command{
		Use: "serve", Short: "Serve plain TCP with one write(2) a message, and plain upgrades on another port", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return b.failed(b.serve(c.Context(), listen, leashed)) },
	}
	serve.Flags().StringVar(&listen, "listen", listen, "`HOST:PORT` of plain TCP")
	serve.Flags().BoolVar(&leashed, "leashed", false, "end with the standard input")
	c.AddCommand(serve)
	for _, m := range modes {
		switch m.mode {
		case Echo, Broadcast:
			c.AddCommand(b.mode(m, wireRaw))
		case Connect, Idle:
			c.AddCommand(b.mode(m, wirePlain))
		}
	}
	return c
}

// serve runs the raw server. A leashed one ends with its input, so that it does not outlive the process that has started it.
func (b *builder) serve(ctx context.Context, listen string, leashed bool) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if leashed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, b.In) // any end is an end
		}()
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	fmt.Fprintf(b.Out, "listening on tcp://%s\nlistening on http://%s\n", l.Addr(), plain.Addr())
	return ServeRaw(ctx, l, plain)
}

func (b *builder) worker() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			return b.failed(Worker(ctx, b.In, b.Out))
		},
	}
}

func (b *builder) compare() *cobra.Command {
	return &cobra.Command{
		Use: "compare FIRST.json SECOND.json", Short: "Two reports of one mode beside each other", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var reports []*Report
			for name := range slices.Values(args) {
				r, err := ReadReport(name)
				if err != nil {
					return b.failed(err)
				}
				reports = append(reports, r)
			}
			return b.failed(Compare(b.Out, reports[0], reports[1]))
		},
	}
}
