package bench

import (
	"slices"
	"time"
)

// FormatVersion is that of the JSON report. It grows when the meaning of a field changes; new fields do not change it.
const FormatVersion = 1

// Report is the result of one call of the tool.
type Report struct {
	Format  int       `json:"format"`
	Tool    string    `json:"tool"`
	When    time.Time `json:"when"`
	Machine Machine   `json:"machine"`
	Job     Job       `json:"job"`
	Targets []Result  `json:"targets"` // the server first, then what it is compared with
	Ratios  []Ratio   `json:"ratios"`
}

// Result is what one target did, in all runs.
type Result struct {
	Target  Target    `json:"target"`
	Median  Figures   `json:"median"` // of every figure by itself
	Runs    []Figures `json:"runs"`
	Latency []Point   `json:"latency"` // of all runs together: x is the share, y is microseconds
	Series  []Sample  `json:"series"`  // of the last run
	Notes   []string  `json:"notes,omitempty"`
}

// Ratio is a figure of the server divided by the same figure of another target.
type Ratio struct {
	Figure string  `json:"figure"`
	To     string  `json:"to"` // limit or beside
	Value  float64 `json:"value"`
}

// Point is one of a curve.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Sample is what was seen within one second of a run.
type Sample struct {
	Seconds  float64 `json:"seconds"`            // since the load began
	Rate     float64 `json:"rate"`               // messages a second
	CPU      float64 `json:"cpu,omitempty"`      // of the server, in cores
	RSSBytes int64   `json:"rssBytes,omitempty"` // of the server
}

// Figures are those of one run. Times are in microseconds unless they say otherwise; a figure that was not measured is 0.
type Figures struct {
	Connections    float64 `json:"connections"`
	Seconds        float64 `json:"seconds"`
	Sent           float64 `json:"sent"`
	Expected       float64 `json:"expected"` // deliveries or answers to what was planned
	Received       float64 `json:"received"`
	Rate           float64 `json:"rate"`              // received a second while the load lasted; in bursts the median of them
	Offered        float64 `json:"offered,omitempty"` // a second
	Lost           float64 `json:"lost"`
	Unfinished     float64 `json:"unfinished"`
	Doubled        float64 `json:"doubled"`
	OutOfOrder     float64 `json:"outOfOrder"`
	Strays         float64 `json:"strays"`
	Errors         float64 `json:"errors"`
	Closed         float64 `json:"closed"`
	P50            float64 `json:"p50"`
	P90            float64 `json:"p90"`
	P99            float64 `json:"p99"`
	P999           float64 `json:"p999"`
	Longest        float64 `json:"longest"`
	SetupP50       float64 `json:"setupP50"`
	SetupP99       float64 `json:"setupP99"`
	CPUSeconds     float64 `json:"cpuSeconds,omitempty"`    // of the server during the load
	CPUPerMessage  float64 `json:"cpuPerMessage,omitempty"` // or per answer, per connection set up
	CPUPerSetup    float64 `json:"cpuPerSetup,omitempty"`   // while the connections before the load were made
	RSSBefore      float64 `json:"rssBefore,omitempty"`     // bytes, without connections
	RSSAfter       float64 `json:"rssAfter,omitempty"`      // bytes, when the load has ended and connections stand
	RSSPerConn     float64 `json:"rssPerConnection,omitempty"`
	Visits         float64 `json:"visits,omitempty"`       // connections that came and went
	FailedVisits   float64 `json:"failedVisits,omitempty"` //
	StalledCutOff  float64 `json:"stalledCutOff,omitempty"`
	LoadCPUSeconds float64 `json:"loadCpuSeconds,omitempty"` // of the load itself
}

// figure is one row of tables, plots and comparisons.
type figure struct {
	name     string
	of       func(*Figures) *float64
	unit     string
	ratio    bool // means something beside another target
	better   int  // -1 less is better, 1 more is better, 0 neither
	troubles bool // is to be 0
}

// figures lists all of them in the order in which people read them.
var figures = []figure{
	{name: "connections", of: func(f *Figures) *float64 { return &f.Connections }},
	{name: "seconds", of: func(f *Figures) *float64 { return &f.Seconds }},
	{name: "sent", of: func(f *Figures) *float64 { return &f.Sent }},
	{name: "expected", of: func(f *Figures) *float64 { return &f.Expected }},
	{name: "received", of: func(f *Figures) *float64 { return &f.Received }},
	{name: "offered", of: func(f *Figures) *float64 { return &f.Offered }, unit: "/s"},
	{name: "rate", of: func(f *Figures) *float64 { return &f.Rate }, unit: "/s", ratio: true, better: 1},
	{name: "p50", of: func(f *Figures) *float64 { return &f.P50 }, unit: "µs", ratio: true, better: -1},
	{name: "p90", of: func(f *Figures) *float64 { return &f.P90 }, unit: "µs", better: -1},
	{name: "p99", of: func(f *Figures) *float64 { return &f.P99 }, unit: "µs", ratio: true, better: -1},
	{name: "p99.9", of: func(f *Figures) *float64 { return &f.P999 }, unit: "µs", better: -1},
	{name: "longest", of: func(f *Figures) *float64 { return &f.Longest }, unit: "µs", better: -1},
	{name: "lost", of: func(f *Figures) *float64 { return &f.Lost }, better: -1, troubles: true},
	{name: "unfinished", of: func(f *Figures) *float64 { return &f.Unfinished }, better: -1, troubles: true},
	{name: "doubled", of: func(f *Figures) *float64 { return &f.Doubled }, better: -1, troubles: true},
	{name: "out of order", of: func(f *Figures) *float64 { return &f.OutOfOrder }, better: -1, troubles: true},
	{name: "strays", of: func(f *Figures) *float64 { return &f.Strays }, better: -1, troubles: true},
	{name: "errors", of: func(f *Figures) *float64 { return &f.Errors }, better: -1, troubles: true},
	{name: "closed", of: func(f *Figures) *float64 { return &f.Closed }, better: -1, troubles: true},
	{name: "set-up p50", of: func(f *Figures) *float64 { return &f.SetupP50 }, unit: "µs", better: -1},
	{name: "set-up p99", of: func(f *Figures) *float64 { return &f.SetupP99 }, unit: "µs", better: -1},
	{name: "CPU", of: func(f *Figures) *float64 { return &f.CPUSeconds }, unit: "s", better: -1},
	{name: "CPU a message", of: func(f *Figures) *float64 { return &f.CPUPerMessage }, unit: "µs", ratio: true, better: -1},
	{name: "CPU a set-up", of: func(f *Figures) *float64 { return &f.CPUPerSetup }, unit: "µs", ratio: true, better: -1},
	{name: "memory before", of: func(f *Figures) *float64 { return &f.RSSBefore }, unit: "B", better: -1},
	{name: "memory after", of: func(f *Figures) *float64 { return &f.RSSAfter }, unit: "B", better: -1},
	{name: "memory a connection", of: func(f *Figures) *float64 { return &f.RSSPerConn }, unit: "B", ratio: true, better: -1},
	{name: "visits", of: func(f *Figures) *float64 { return &f.Visits }},
	{name: "failed visits", of: func(f *Figures) *float64 { return &f.FailedVisits }, better: -1, troubles: true},
	{name: "stalled cut off", of: func(f *Figures) *float64 { return &f.StalledCutOff }},
	{name: "load's CPU", of: func(f *Figures) *float64 { return &f.LoadCPUSeconds }, unit: "s"},
}

// median is that of every figure by itself.
func median(runs []Figures) Figures {
	var m Figures
	if len(runs) == 0 {
		return m
	}
	for _, f := range figures {
		values := make([]float64, len(runs))
		for i := range runs {
			values[i] = *f.of(&runs[i])
		}
		*f.of(&m) = middle(values)
	}
	return m
}

// middle is the median, of an even number of values the mean of the two in the middle.
func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// ratios compares the first target with the others.
func ratios(targets []Result) []Ratio {
	all := []Ratio{}
	for _, t := range targets[min(1, len(targets)):] {
		for _, f := range figures {
			a, b := *f.of(&targets[0].Median), *f.of(&t.Median)
			if f.ratio && a > 0 && b > 0 {
				all = append(all, Ratio{Figure: f.name, To: t.Target.Name, Value: a / b})
			}
		}
	}
	return all
}
