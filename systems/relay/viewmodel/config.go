package viewmodel

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Config declares a view model.
type Config struct {
	// Name that tickets and cookies use. It is compared exactly. At most 250 bytes. Needed.
	Name string `yaml:"name"`
	// Class of the objects that the view model is for, the part of their external ids before the |. Default "": any.
	Class string `yaml:"class"`
	// Columns in order, each in the form "name = expression". A name is letters, digits and _, and unique without regard to
	// case.
	Columns []string `yaml:"columns"`
	// Actions in the order in which they run: realtimesubscribetoevent (reads the columns realtimehub, eventguid and
	// eventcookie), RealtimeTriggerEvent or RealTimeTrigger (eventguid), webhook (url), and the names of [Options.Functions]. All
	// without regard to case.
	Actions []string `yaml:"actions"`
	// Every is the period in which the view model runs by itself, for each object of Class that Select picks. At least a second.
	// Default 0: only tickets run it.
	Every time.Duration `yaml:"every"`
	// Select is the expression that picks the objects of a period: true or false for one object. Default "": all.
	Select string `yaml:"select"`
}

// Events is where actions subscribe to events and trigger them.
type Events interface {
	// Trigger sends an event to its subscribers and returns how many there are.
	Trigger(ctx context.Context, guid string) (listeners int, err error)
	// Subscribe subscribes this server to an event of a hub, with the cookie that comes back with it. A blank hubURL means this
	// server, a blank cookie or "endsubscription" ends the subscription.
	Subscribe(ctx context.Context, hubURL, guid, cookie string) error
}

// Function is an action in Go. An error fails the run, and the actions after it do not run. It must return soon after ctx has
// ended. A function runs again when a process dies before the end of its run is stored, so what it does must bear that. It is
// called by several goroutines at once.
type Function func(ctx context.Context, r *Run) error

// Options of a [Set]. Zero fields have the default of their comment.
type Options struct {
	// ViewModels of the set, with unique names.
	ViewModels []Config
	// Functions are actions by name, without regard to case. One in the form "Class.Method" also stands for a view model of that
	// name, which is for objects of that class, has no columns and this one action.
	Functions map[string]Function
	// Events is needed where an action subscribes or triggers.
	Events Events
	// CostLimit bounds the work of one expression, in the units of CEL: about one for each operation and for each ten bytes of
	// text. Default 100,000.
	CostLimit uint64
	// WebhookTimeout is how long a webhook may take to answer. Default 30 s.
	WebhookTimeout time.Duration
	// Transport carries the calls of webhooks. Default: one of the set's own, which [Set.Close] closes.
	Transport http.RoundTripper
}

// Limits of what can be declared.
const (
	maxName       = 250
	maxExpression = 8 << 10
	minEvery      = time.Second
)

func (o *Options) setDefaults() {
	if o.CostLimit == 0 {
		o.CostLimit = 100_000
	}
	if o.WebhookTimeout <= 0 {
		o.WebhookTimeout = 30 * time.Second
	}
}

// splitColumn takes "name = expression" apart.
func splitColumn(text string) (name, expression string, err error) {
	name, expression, found := strings.Cut(text, "=")
	name, expression = strings.TrimSpace(name), strings.TrimSpace(expression)
	if !found || expression == "" || !isName(name) {
		return "", "", fmt.Errorf("column %q: want name = expression, with a name of letters, digits and _", text)
	}
	return name, expression, nil
}

func isName(s string) bool {
	for i, c := range s {
		switch {
		case c == '_', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxName
}
