package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub/systems/store"
)

// PurchaseJob is a load of purchases on Play Economy.
type PurchaseJob struct {
	URL      string        `json:"url"`      // of the server that has all services
	Players  int           `json:"players"`  // each with a connection to the hub and one for its POSTs
	Rate     float64       `json:"rate"`     // purchases a second, of all players together
	Duration time.Duration `json:"duration"` // for which purchases are begun
	Drain    time.Duration `json:"drain"`    // longest wait for the last pushes
	Price    float64       `json:"price"`    // of the item, in gil
	Admin    string        `json:"admin"`    // e-mail of the administrator
	Insecure bool          `json:"insecure,omitempty"`
	PID      int           `json:"pid,omitempty"` // of the server, 0: elsewhere

	// Database of the server, from which tokens are issued.
	Database store.Config `json:"-"`
}

// PurchaseReport is the result of such a load.
type PurchaseReport struct {
	Format  int             `json:"format"`
	Tool    string          `json:"tool"`
	When    time.Time       `json:"when"`
	Machine Machine         `json:"machine"`
	Job     PurchaseJob     `json:"job"`
	Figures PurchaseFigures `json:"figures"`
	// Faults are what must not be: purchases without a push or with two, pushes to others, gil or items that do not add up.
	Faults []string `json:"faults"`
}

// PurchaseFigures are what came of the purchases. Latencies are in microseconds from the time at which a purchase was due: a server or
// a load that falls behind shows it.
type PurchaseFigures struct {
	Begun     int     `json:"begun"`     // POSTs that were due
	Accepted  int     `json:"accepted"`  // answered with 202
	Completed int     `json:"completed"` // pushed as completed
	Faulted   int     `json:"faulted"`   // pushed as faulted
	Retried   int     `json:"retried"`   // POSTs that were sent again
	Progress  int     `json:"progress"`  // pushes of what was under way
	Rate      float64 `json:"rate"`      // purchases pushed a second, while purchases were begun
	Late      float64 `json:"late"`      // seconds from the last that was due to the last push

	AcceptP50, AcceptP99, AcceptLongest float64 // from due to 202
	PushP50, PushP90, PushP99           float64 // from due to push
	PushLongest                         float64

	CPUSeconds     float64 `json:"cpuSeconds,omitempty"`     // of the server
	CPUPerPurchase float64 `json:"cpuPerPurchase,omitempty"` // of the server, in microseconds
	RSSAfter       float64 `json:"rssAfter,omitempty"`       // of the server, in bytes
	LoadCPUSeconds float64 `json:"loadCpuSeconds"`

	GilBefore float64 `json:"gilBefore"` // of all players
	GilAfter  float64 `json:"gilAfter"`
	Spent     float64 `json:"spent"` // on what they have got
}

// purchases is the subcommand.
func (b *builder) purchases() *cobra.Command {
	j := PurchaseJob{Database: store.Config{}}
	var asJSON bool
	var out string
	c := &cobra.Command{
		Use: "purchases URL", Short: "Players of Play Economy buy, and wait to be told that they have bought", Args: cobra.ExactArgs(1),
		Long: `Players of Play Economy buy at a steady rate, each of them listening to the hub: from the POST that was due to its 202 and to the push of
the purchase's end. Afterwards it is checked that each purchase was pushed once and to its buyer, and that gil and items add up.

Players are registered where they are missing, which costs the server a bcrypt each: begin it with economy.passwordCost 4. Their access
tokens are issued from the server's database, so the load runs where that is.`,
		Example: `  hubbub bench purchases http://127.0.0.1:8080 --data ./data --players 1000 --rate 1000 --duration 60s --pid 4711`,
		RunE: func(c *cobra.Command, args []string) error {
			j.URL = strings.TrimSuffix(args[0], "/")
			if err := j.check(); err != nil {
				return err
			}
			ctx := c.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
			defer stop()
			r, err := RunPurchases(ctx, j, b.Err)
			if err != nil {
				return b.failed(err)
			}
			return b.failed(r.write(b.Out, asJSON, out))
		},
	}
	f := c.Flags()
	f.IntVar(&j.Players, "players", 1000, "`number` of players")
	f.Float64Var(&j.Rate, "rate", 1000, "purchases `a second`, of all players together")
	f.DurationVarP(&j.Duration, "duration", "d", 10*time.Second, "`time` for which purchases are begun")
	f.DurationVar(&j.Drain, "drain", 30*time.Second, "longest `time` to wait for the last pushes")
	f.Float64Var(&j.Price, "price", 0.01, "`gil` that the item costs")
	f.StringVar(&j.Admin, "admin", "admin@play.com", "`E-MAIL` of the administrator")
	f.StringVar(&j.Database.Dir, "data", "data", "data `FOLDER` of the server")
	f.StringVar(&j.Database.URL, "database", "", "PostgreSQL `URL` of the server, where it has one")
	f.IntVar(&j.PID, "pid", 0, "`process` of the server, on this machine, whose CPU and memory are sampled")
	f.BoolVarP(&j.Insecure, "insecure", "k", false, "accept any certificate")
	f.BoolVar(&asJSON, "json", false, "the report as JSON on standard output")
	f.StringVarP(&out, "out", "o", "", "`FILE` for the report as JSON")
	return c
}

func (j *PurchaseJob) check() error {
	u, err := url.Parse(j.URL)
	switch {
	case err != nil:
		return fmt.Errorf("address %q: %w", j.URL, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("address %q: want http:// or https://", j.URL)
	case j.Players < 1 || j.Players > 20_000:
		return fmt.Errorf("players are %d, want 1 to 20000", j.Players)
	case j.Rate <= 0 || j.Rate > 100_000:
		return fmt.Errorf("rate is %v, want more than 0 and at most 100000", j.Rate)
	case j.Duration <= 0 || j.Duration > time.Hour:
		return fmt.Errorf("duration is %v, want more than 0 and at most an hour", j.Duration)
	case j.Drain < 0:
		return errors.New("the time to wait for the last pushes must not be negative")
	case j.Price < 0.000001 || j.Price > 1000:
		return fmt.Errorf("price is %v, want 0.000001 to 1000", j.Price)
	case j.purchases() < 1:
		return fmt.Errorf("%v purchases a second for %v are none", j.Rate, j.Duration)
	}
	return nil
}

// purchases is how many are begun.
func (j *PurchaseJob) purchases() int { return int(j.Rate * j.Duration.Seconds()) }

// RunPurchases runs the load. It blocks until it is checked, or fails when the load cannot be begun. What it does meanwhile goes to log.
func RunPurchases(ctx context.Context, j PurchaseJob, log io.Writer) (*PurchaseReport, error) {
	shop, err := openShop(ctx, &j, log)
	if err != nil {
		return nil, err
	}
	defer shop.close()
	r := &PurchaseReport{Format: FormatVersion, Tool: "hubbub bench purchases", When: time.Now().UTC(), Machine: thisMachine(), Job: j, Faults: []string{}}
	fmt.Fprintf(log, "%d purchases in %v\n", j.purchases(), j.Duration)
	rush := newRush(shop)
	if err := rush.run(ctx, r); err != nil {
		return nil, err
	}
	rush.figures(r)
	if err := shop.audit(ctx, rush, r); err != nil {
		return nil, err
	}
	return r, nil
}

// mostFaults are told; where one player's figures are wrong those of all may be.
const mostFaults = 20

func (r *PurchaseReport) fault(format string, args ...any) {
	if len(r.Faults) >= mostFaults {
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

func (r *PurchaseReport) write(w io.Writer, asJSON bool, file string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if file != "" {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	if asJSON {
		_, err = w.Write(text)
	} else {
		err = r.table(w)
	}
	if err == nil && len(r.Faults) > 0 {
		return fmt.Errorf("%d faults, the first: %s", len(r.Faults), r.Faults[0])
	}
	return err
}

func (r *PurchaseReport) table(w io.Writer) error {
	f := &r.Figures
	ms := func(micros float64) string { return fmt.Sprintf("%.1f ms", micros/1000) }
	for _, line := range [][2]string{
		{"players", fmt.Sprint(r.Job.Players)},
		{"purchases begun, accepted", fmt.Sprintf("%d, %d (%d POSTs again)", f.Begun, f.Accepted, f.Retried)},
		{"completed, faulted", fmt.Sprintf("%d, %d", f.Completed, f.Faulted)},
		{"offered, held", fmt.Sprintf("%.0f/s, %.0f/s", r.Job.Rate, f.Rate)},
		{"POST to 202: p50, p99, longest", ms(f.AcceptP50) + ", " + ms(f.AcceptP99) + ", " + ms(f.AcceptLongest)},
		{"POST to push: p50, p90, p99, longest", ms(f.PushP50) + ", " + ms(f.PushP90) + ", " + ms(f.PushP99) + ", " + ms(f.PushLongest)},
		{"last push after the last POST", fmt.Sprintf("%.2f s", f.Late)},
		{"CPU of the server, a purchase", fmt.Sprintf("%.1f s, %.0f µs", f.CPUSeconds, f.CPUPerPurchase)},
		{"CPU of the load", fmt.Sprintf("%.1f s", f.LoadCPUSeconds)},
		{"memory of the server", fmt.Sprintf("%.0f MB", f.RSSAfter/1e6)},
		{"gil before = after + spent", fmt.Sprintf("%.6f = %.6f + %.6f", f.GilBefore, f.GilAfter, f.Spent)},
	} {
		if _, err := fmt.Fprintf(w, "%-38s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	for fault := range slices.Values(r.Faults) {
		if _, err := fmt.Fprintln(w, "FAULT", fault); err != nil {
			return err
		}
	}
	return nil
}
