package viewmodel_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// events does nothing, or fails.
type events struct {
	calls []string
	err   error
}

// Trigger implements viewmodel.Events.
func (e *events) Trigger(_ context.Context, guid string) (int, error) {
	e.calls = append(e.calls, "trigger "+guid)
	return 0, e.err
}

// Subscribe implements viewmodel.Events.
func (e *events) Subscribe(_ context.Context, hubURL, guid, cookie string) error {
	e.calls = append(e.calls, fmt.Sprintf("subscribe %q %q %q", hubURL, guid, cookie))
	return e.err
}

// vm returns a view model with columns and actions.
func vm(columns []string, actions ...string) viewmodel.Config {
	return viewmodel.Config{Name: "VM", Columns: columns, Actions: actions}
}

func compile(t testing.TB, o viewmodel.Options) *viewmodel.Set {
	t.Helper()
	if o.Events == nil {
		o.Events = &events{}
	}
	s, err := viewmodel.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// value computes one expression for an object.
func value(t testing.TB, expression string, attributes map[string]any) (any, error) {
	t.Helper()
	var got any
	s := compile(t, viewmodel.Options{
		ViewModels: []viewmodel.Config{vm([]string{"c = " + expression}, "look")},
		Functions: map[string]viewmodel.Function{"look": func(_ context.Context, r *viewmodel.Run) error {
			got, _ = r.Column("C")
			return nil
		}},
	})
	err := s.Run(t.Context(), &viewmodel.Run{ViewModel: "VM", Object: viewmodel.Object{ID: "12|7", Attributes: attributes}})
	return got, err
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	attributes := map[string]any{"name": "Bolt", "price": 12.5, "count": int64(7), "big": int64(math.MaxInt64), "sold": false,
		"none": nil, "tags": []any{"a", int64(1)}, "where": map[string]any{"hall": "b"}, "externalid": "forged"}
	for expression, want := range map[string]any{
		"'Viewmodel=SomeVM&RootId='+self.externalid": "Viewmodel=SomeVM&RootId=12|7",
		"self.name":                             "Bolt",
		"self.price * 2.0":                      25.0,
		"self.count + 1":                        int64(8),
		"self.big":                              int64(math.MaxInt64),
		"self.count > 2.5":                      true,
		"self.sold":                             false,
		"self.none":                             nil,
		"self.tags[1]":                          int64(1),
		"self.where.hall":                       "b",
		"self['name']":                          "Bolt",
		"has(self.missing) ? self.missing : ''": "",
		"string(self.count) + '|' + self.where.hall":     "7|b",
		"self.name.startsWith('B') && self.count in [7]": true,
		"'a == b'":              "a == b",
		"uint(5)":               int64(5),
		"duration('90s')":       "1m30s",
		"timestamp(0)":          "1970-01-01T00:00:00Z",
		"{'a': [1, 2.5, null]}": map[string]any{"a": []any{int64(1), 2.5, nil}},
		"self.tags.map(x, x)":   []any{"a", int64(1)},
		"size(self.tags)":       int64(2),
		"null":                  nil,
	} {
		got, err := value(t, expression, attributes)
		if err != nil || fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("%s: %T %v, %v, want %T %v", expression, got, got, err, want, want)
		}
	}
	for expression, want := range map[string]string{
		"self.missing":            "column c: no such key: missing",
		"'a' + self.count":        "column c: no such overload",
		"1 / (self.count - 7)":    "column c: division by zero",
		"self.big + 1":            "column c: integer overflow",
		"1.0 / 0.0":               "column c: the value +Inf is no number",
		"18446744073709551615u":   "column c: the number 18446744073709551615 is larger",
		"b'bytes'":                "column c: a value of type bytes has no form in JSON",
		"{1: 2}":                  "column c: a key of type int, want string",
		"[b'x']":                  "column c: a value of type bytes",
		"[1, 2].map(x, self.sum)": "column c: no such key: sum",
	} {
		if got, err := value(t, expression, attributes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", expression, got, err, want)
		}
	}
}

// TestCost cuts an expression that would run for very long.
func TestCost(t *testing.T) {
	t.Parallel()
	list := "[0,1,2,3,4,5,6,7,8,9]"
	expression := "1"
	for i := range 8 {
		expression = fmt.Sprintf("%s.map(x%d, %s).size()", list, i, expression)
	}
	if got, err := value(t, expression, nil); err == nil || !strings.Contains(err.Error(), "cost limit exceeded") {
		t.Fatalf("got %v, %v, want the limit of cost", got, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, *viewmodel.Run) error { return nil }
	good := []string{"eventguid = 'g'", "eventcookie = 'c'"}
	with := func(change func(*viewmodel.Config)) viewmodel.Options {
		c := vm(nil)
		change(&c)
		return viewmodel.Options{ViewModels: []viewmodel.Config{c}, Events: &events{}}
	}
	one := func(columns []string, actions ...string) viewmodel.Options {
		return viewmodel.Options{ViewModels: []viewmodel.Config{vm(columns, actions...)}, Events: &events{}}
	}
	for want, o := range map[string]viewmodel.Options{
		"VM: column c: character 6: Syntax error":                               one([]string{"c = self."}),
		"VM: column c: character 1: undeclared reference to 'name'":             one([]string{"c = name"}),
		"VM: column c: character 5: found no matching overload for '_+_'":       one([]string{"c = 'a' + 1"}),
		"VM: column c: 9000 bytes long, want at most 8192":                      one([]string{"c = " + strings.Repeat("1", 9000)}),
		"VM: column \"c\": want name = expression":                              one([]string{"c"}),
		"VM: column \"c =\": want name = expression":                            one([]string{"c ="}),
		"VM: column \"1c = 1\": want name = expression, with a name of letters": one([]string{"1c = 1"}),
		"VM: column \"a b = 1\": want name = expression":                        one([]string{"a b = 1"}),
		"VM: column C: is declared twice":                                       one([]string{"c = 1", "C = 2"}),
		"VM: column ExternalId: the name is taken":                              one([]string{"ExternalId = 1"}),
		`VM: action "email": no such action`:                                    one(nil, "email"),
		`VM: action "RealTimeTrigger": needs a column eventguid`:                one(nil, "RealTimeTrigger"),
		`VM: action "realtimesubscribetoevent": needs a column eventcookie`:     one(good[:1], "realtimesubscribetoevent"),
		`VM: action "WebHook": needs a column url`:                              one(nil, "WebHook"),
		"VM: column eventguid: is of type int, want string for the action":      one([]string{"eventguid = 7"}, "realtimetrigger"),
		"VM: column realtimehub: is of type bool, want string for the action":   one(append(good, "realtimehub = true"), "realtimesubscribetoevent"),
		`VM: action "realtimetrigger": there are no events here`:                {ViewModels: one(good, "realtimetrigger").ViewModels},
		"viewmodel: VM: is declared twice":                                      {ViewModels: []viewmodel.Config{vm(nil), vm(nil)}},
		"viewmodel: : the name has 0 bytes, want 1 to 250":                      with(func(c *viewmodel.Config) { c.Name = "" }),
		`VM: class "12|7": want the part of an external id before the |`:        with(func(c *viewmodel.Config) { c.Class = "12|7" }),
		"VM: every 10ms: want 1s or more, or 0s":                                with(func(c *viewmodel.Config) { c.Every = 10 * time.Millisecond }),
		"VM: every -1s: want 1s or more, or 0s":                                 with(func(c *viewmodel.Config) { c.Every = -time.Second }),
		"VM: select: 'x' is of type string, want bool":                          with(func(c *viewmodel.Config) { c.Select = "'x'" }),
		"VM: select: character 1: undeclared reference to 'other'":              with(func(c *viewmodel.Config) { c.Select = "other" }),
		`viewmodel: function "f" is nil`:                                        {Functions: map[string]viewmodel.Function{"f": nil}},
		`viewmodel: function "WebHook": there is an action of that name`:        {Functions: map[string]viewmodel.Function{"WebHook": nothing}},
		"there is an action of that name":                                       {Functions: map[string]viewmodel.Function{"f": nothing, "F": nothing}},
		"VM: column a: character 1: undeclared reference to 'x'\nviewmodel: VM: column b: character 1: undeclared reference to 'y'": one([]string{"a = x", "b = y"}),
	} {
		s, err := viewmodel.New(o)
		if err == nil {
			s.Close()
			t.Errorf("no error, want %q", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}

// TestActions runs all actions in the order of their declaration, until one fails.
func TestActions(t *testing.T) {
	t.Parallel()
	var e events
	note := func(name string, err error) viewmodel.Function {
		return func(context.Context, *viewmodel.Run) error {
			e.calls = append(e.calls, name)
			return err
		}
	}
	s := compile(t, viewmodel.Options{
		Events: &e,
		ViewModels: []viewmodel.Config{
			{Name: "All", Columns: []string{"EventGuid = 'g'", "eventCookie = ''", "realtimehub = null"},
				Actions: []string{"first", "REALTIMETRIGGEREVENT", "RealtimeSubscribeToEvent", "realTimeTrigger", "LAST"}},
			{Name: "Stops", Actions: []string{"first", "bad", "last"}},
		},
		Functions: map[string]viewmodel.Function{"First": note("first", nil), "last": note("last", nil), "bad": note("bad", errors.New("no")),
			"Order.Ship": note("ship", nil)},
	})
	run := func(model, id string) error {
		e.calls = nil
		return s.Run(t.Context(), &viewmodel.Run{ViewModel: model, Object: viewmodel.Object{ID: id}})
	}
	expect := func(want string) {
		t.Helper()
		if got := strings.Join(e.calls, ", "); got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	}
	if err := run("All", "12|7"); err != nil {
		t.Error(err)
	}
	expect(`first, trigger g, subscribe "" "g" "", trigger g, last`)
	if err := run("Stops", "12|7"); err == nil || err.Error() != "action bad: no" {
		t.Errorf("got %v, want the error of bad", err)
	}
	expect("first, bad")
	e.err = errors.New("the hub is away")
	if err := run("All", "12|7"); err == nil || err.Error() != "action REALTIMETRIGGEREVENT: the hub is away" {
		t.Errorf("got %v, want the error of the trigger", err)
	}
	expect("first, trigger g")
	if err := run("Order.Ship", "Order|7"); err != nil {
		t.Error(err)
	}
	expect("ship")
	if err := run("Order.Ship", "Item|7"); err == nil || err.Error() != "view model Order.Ship wants an object of the class Order, not Item|7" {
		t.Errorf("got %v, want the wrong class", err)
	}
	if err := run("all", "12|7"); !errors.Is(err, viewmodel.ErrNoViewModel) || s.Has("all") || !s.Has("All") || !s.Has("Order.Ship") {
		t.Errorf("got %v, want ErrNoViewModel", err)
	}
	if s.Class("Order.Ship") != "Order" || s.Class("All") != "" || s.Class("nothing") != "" {
		t.Error("wrong classes")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.calls = nil
	if err := s.Run(ctx, &viewmodel.Run{ViewModel: "Stops"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	expect("")
}

// TestUpdate changes attributes in the order of the calls, and only when it is asked to.
func TestUpdate(t *testing.T) {
	t.Parallel()
	add := func(_ context.Context, r *viewmodel.Run) error {
		r.Update(func(a map[string]any) error {
			n, _ := a["n"].(int)
			a["n"] = n*10 + 1
			return nil
		})
		r.Update(func(a map[string]any) error {
			if a["n"] == 111 {
				return errors.New("enough")
			}
			if a["n"] == 21 {
				panic("21")
			}
			return nil
		})
		return nil
	}
	s := compile(t, viewmodel.Options{Functions: map[string]viewmodel.Function{"C.Add": add}})
	r := &viewmodel.Run{ViewModel: "C.Add", Object: viewmodel.Object{ID: "C|1", Attributes: map[string]any{"n": 5}}}
	if err := s.Run(t.Context(), r); err != nil || !r.Changes() {
		t.Fatalf("run: %v, changes %t", err, r.Changes())
	}
	if r.Object.Attributes["n"] != 5 {
		t.Fatalf("attributes %v, want them as they were", r.Object.Attributes)
	}
	for before, want := range map[int]string{0: "1 <nil>", 1: "11 <nil>", 11: "111 update of C|1: enough", 2: "21 update of C|1: panic: 21 at viewmodel_test.go:"} {
		a := map[string]any{"n": before}
		err := r.Apply(a)
		if got := fmt.Sprint(a["n"], " ", err); !strings.HasPrefix(got, want) {
			t.Errorf("%d becomes %s, want %s", before, got, want)
		}
	}
}

func TestPeriodic(t *testing.T) {
	t.Parallel()
	s := compile(t, viewmodel.Options{ViewModels: []viewmodel.Config{
		{Name: "B", Every: time.Minute, Class: "12", Select: "self.due && self.count > 2"},
		{Name: "never"},
		{Name: "A", Every: time.Second},
		{Name: "C", Every: time.Hour, Select: "self.due"},
	}})
	all := s.Periodic()
	if len(all) != 3 || all[0].Name != "B" || all[0].Class != "12" || all[0].Every != time.Minute || all[1].Name != "A" {
		t.Fatalf("periodic %+v", all)
	}
	for _, tt := range []struct {
		i          int
		attributes map[string]any
		want       string
	}{
		{0, map[string]any{"due": true, "count": int64(3)}, "true <nil>"},
		{0, map[string]any{"due": true, "count": int64(2)}, "false <nil>"},
		{0, map[string]any{"due": false}, "false <nil>"},
		{0, map[string]any{"due": true}, "false select: no such key: count"},
		{1, nil, "true <nil>"},
		{2, map[string]any{"due": "yes"}, "false select: got text, want true or false"},
	} {
		yes, err := all[tt.i].Selects(t.Context(), &viewmodel.Object{ID: "12|7", Attributes: tt.attributes})
		if got := fmt.Sprint(yes, " ", err); got != tt.want {
			t.Errorf("%s selects %v: %s, want %s", all[tt.i].Name, tt.attributes, got, tt.want)
		}
	}
}

// FuzzColumn compiles and computes any text as a column: it is refused, or gives a value or an error.
func FuzzColumn(f *testing.F) {
	for _, text := range []string{"a = 1", "eventcookie = 'Viewmodel=SomeVM&RootId='+self.externalid", "x = has(self.y) ? self.y : ''",
		"x = self.list.map(e, e * 2)", "x = {'a': b'b'}", "x", "=", "x = [[[[", "x = 1.0/0.0", "x = self[self.externalid]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := viewmodel.New(viewmodel.Options{ViewModels: []viewmodel.Config{vm([]string{text})}, CostLimit: 1000})
		if err != nil {
			return
		}
		defer s.Close()
		s.Run(t.Context(), &viewmodel.Run{ViewModel: "VM", Object: viewmodel.Object{ID: "1|2", Attributes: map[string]any{"y": "z",
			"list": []any{int64(1), 2.5, nil}}}})
	})
}

// BenchmarkRun is one run of a view model with three columns.
func BenchmarkRun(b *testing.B) {
	models, functions := viewmodel.Demo()
	s := compile(b, viewmodel.Options{ViewModels: models, Functions: functions, Events: quiet{}})
	o := viewmodel.Object{ID: "12|7", Attributes: map[string]any{"eventguid": "g1", "name": "Bolt"}}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(b.Context(), &viewmodel.Run{ViewModel: "SubscribeVM", Object: o}); err != nil {
			b.Fatal(err)
		}
	}
}

// quiet are events that nobody hears.
type quiet struct{}

// Trigger implements viewmodel.Events.
func (quiet) Trigger(context.Context, string) (int, error) { return 0, nil }

// Subscribe implements viewmodel.Events.
func (quiet) Subscribe(context.Context, string, string, string) error { return nil }
