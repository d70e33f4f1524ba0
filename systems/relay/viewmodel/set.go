package viewmodel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
)

// Set is a set of compiled view models. It is safe for concurrent use.
type Set struct {
	models map[string]*model
	order  []*model
	caller *caller
	events Events
	own    *http.Transport
}

// model is a compiled view model.
type model struct {
	name, class string
	columns     []column
	actions     []action
	every       time.Duration
	choose      *expression // nil: all objects
}

// column is a compiled column.
type column struct {
	name string
	*expression
}

// action is something to do, under the name that it was declared with.
type action struct {
	name string
	do   Function
}

// ErrNoViewModel says that there is no view model of a name.
var ErrNoViewModel = errors.New("no such view model")

// New compiles view models. The error names everything that is wrong, each with its view model and its column or action. Close
// the set when done.
func New(o Options) (*Set, error) {
	o.setDefaults()
	s := &Set{models: make(map[string]*model), events: o.Events}
	if o.Transport == nil {
		s.own = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: o.WebhookTimeout, MaxResponseHeaderBytes: 64 << 10}
		o.Transport = s.own
	}
	s.caller = newCaller(o.Transport, o.WebhookTimeout)
	c, err := newCompiler(o.CostLimit)
	if err != nil {
		return nil, fmt.Errorf("viewmodel: %w", err)
	}
	functions, err := s.functions(o.Functions)
	for _, config := range o.ViewModels {
		m, faults := s.compile(c, config, functions)
		if s.models[m.name] != nil {
			faults = append(faults, errors.New("is declared twice"))
		}
		for _, fault := range faults {
			err = errors.Join(err, fmt.Errorf("viewmodel: %s: %w", config.Name, fault))
		}
		s.models[m.name] = m
		s.order = append(s.order, m)
	}
	if err != nil {
		return nil, err
	}
	for name, do := range o.Functions {
		if class, _, found := strings.Cut(name, "."); found && s.models[name] == nil {
			s.models[name] = &model{name: name, class: class, actions: []action{{name, do}}}
		}
	}
	return s, nil
}

// Close closes the idle connections of webhooks.
func (s *Set) Close() {
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}

// Has reports whether there is a view model of that name.
func (s *Set) Has(name string) bool { return s.models[name] != nil }

// Class returns the class that a view model is for, "" for any or where there is no such view model.
func (s *Set) Class(name string) string {
	if m := s.models[name]; m != nil {
		return m.class
	}
	return ""
}

// functions adds the built-in actions, by folded name.
func (s *Set) functions(own map[string]Function) (map[string]Function, error) {
	all := map[string]Function{
		"realtimesubscribetoevent": s.subscribe,
		"realtimetriggerevent":     s.trigger,
		"realtimetrigger":          s.trigger,
		"webhook":                  s.caller.call,
	}
	var err error
	for name, do := range own {
		folded := strings.ToLower(name)
		switch {
		case do == nil:
			err = errors.Join(err, fmt.Errorf("viewmodel: function %q is nil", name))
		case all[folded] != nil:
			err = errors.Join(err, fmt.Errorf("viewmodel: function %q: there is an action of that name", name))
		}
		all[folded] = do
	}
	return all, err
}

// needs are the columns that the built-in actions cannot do without.
var needs = map[string][]string{
	"realtimesubscribetoevent": {"eventguid", "eventcookie"},
	"realtimetriggerevent":     {"eventguid"},
	"realtimetrigger":          {"eventguid"},
	"webhook":                  {"url"},
}

// texts are the columns that the built-in actions read as text.
var texts = map[string][]string{
	"realtimesubscribetoevent": {"realtimehub", "eventguid", "eventcookie"},
	"realtimetriggerevent":     {"eventguid"},
	"realtimetrigger":          {"eventguid"},
	"webhook":                  {"url"},
}

func (s *Set) compile(c *compiler, config Config, functions map[string]Function) (*model, []error) {
	m := &model{name: config.Name, class: config.Class, every: config.Every}
	var all []error
	fault := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if config.Name == "" || len(config.Name) > maxName {
		fault("the name has %d bytes, want 1 to %d", len(config.Name), maxName)
	}
	if strings.Contains(config.Class, "|") {
		fault("class %q: want the part of an external id before the |", config.Class)
	}
	if config.Every != 0 && config.Every < minEvery {
		fault("every %v: want %v or more, or 0s", config.Every, minEvery)
	}
	for _, text := range config.Columns {
		if err := m.addColumn(c, text); err != nil {
			all = append(all, err)
		}
	}
	for _, name := range config.Actions {
		folded := strings.ToLower(name)
		do := functions[folded]
		if do == nil {
			fault("action %q: no such action", name)
			continue
		}
		for _, missing := range m.without(needs[folded]) {
			fault("action %q: needs a column %s", name, missing)
		}
		for _, text := range texts[folded] {
			if i := m.column(text); i >= 0 && !m.columns[i].maybeText() {
				fault("column %s: is of type %s, want string for the action %s", m.columns[i].name, m.columns[i].kind, name)
			}
		}
		if s.events == nil && strings.HasPrefix(folded, "realtime") {
			fault("action %q: there are no events here", name)
		}
		m.actions = append(m.actions, action{name, do})
	}
	if config.Select != "" {
		e, err := c.compile(config.Select, cel.BoolType)
		if err != nil {
			fault("select: %w", err)
		}
		m.choose = e
	}
	return m, all
}

func (m *model) addColumn(c *compiler, text string) error {
	name, source, err := splitColumn(text)
	if err != nil {
		return err
	}
	if m.column(name) >= 0 {
		return fmt.Errorf("column %s: is declared twice", name)
	}
	if strings.EqualFold(name, "externalid") {
		return fmt.Errorf("column %s: the name is taken, every webhook gets the external id", name)
	}
	e, err := c.compile(source, nil)
	if err != nil {
		return fmt.Errorf("column %s: %w", name, err)
	}
	m.columns = append(m.columns, column{name, e})
	return nil
}

// column returns the index of a column by its name without regard to case, or -1.
func (m *model) column(name string) int {
	for i := range m.columns {
		if strings.EqualFold(m.columns[i].name, name) {
			return i
		}
	}
	return -1
}

func (m *model) without(names []string) (missing []string) {
	for _, name := range names {
		if m.column(name) < 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// maybeText reports whether the value can be a text, or nothing.
func (e *expression) maybeText() bool {
	return e.kind.IsExactType(cel.StringType) || e.kind.IsExactType(cel.DynType) || e.kind.IsExactType(cel.NullType)
}

// Periodic returns the view models that run by period, in the order of their declaration.
func (s *Set) Periodic() []Periodic {
	var all []Periodic
	for _, m := range s.order {
		if m.every > 0 {
			all = append(all, Periodic{Name: m.name, Class: m.class, Every: m.every, choose: m.choose})
		}
	}
	return all
}

// Periodic is a view model that runs by period.
type Periodic struct {
	// Name of the view model.
	Name string
	// Class of its objects, "" for all objects.
	Class string
	// Every is the period.
	Every  time.Duration
	choose *expression
}

// Selects reports whether the selection expression picks the object. It may be called by several goroutines at once.
func (p *Periodic) Selects(ctx context.Context, o *Object) (bool, error) {
	if p.choose == nil {
		return true, nil
	}
	v, err := p.choose.eval(ctx, o.self())
	if err != nil {
		return false, fmt.Errorf("select: %w", err)
	}
	yes, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("select: got %s, want true or false", typeOf(v))
	}
	return yes, nil
}
