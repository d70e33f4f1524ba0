package notify

// The index, the readers of requests and the back-off have no surface of their own, so their properties are tested from inside.

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hubbub-go/hubbub"
)

func limits() Limits {
	c := Config{}
	c.setDefaults()
	return c.Limits
}

// TestIndexEqualsScan compares the index with a scan over all subscriptions, over random lives of listeners.
func TestIndexEqualsScan(t *testing.T) {
	t.Parallel()
	names := []string{"tickets", "devices", "users"}
	filters := rapid.Custom(func(t *rapid.T) *filter {
		if rapid.Bool().Draw(t, "licence") {
			return &filter{event: LicenceActivated}
		}
		f := &filter{event: ResourcesChanged}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "names") {
			if f.resources == nil {
				f.resources = make(map[string]actions)
			}
			f.resources[name] = actions(rapid.IntRange(1, 7).Draw(t, "actions") << 1)
		}
		return f
	})
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex(map[string]string{"users": "userGet"})
		model := map[string]map[string]*filter{} // listener → subscriptions
		reads := map[string]bool{}
		ids := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id, may := ids.Draw(t, "id"), rapid.Bool().Draw(t, "may")
				x.put(id, func(right string) bool { return may && right == "userGet" })
				if model[id] == nil {
					model[id] = map[string]*filter{}
				}
				reads[id] = may
			},
			"remove": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if got, want := len(x.remove(id)), len(model[id]); got != want {
					t.Fatalf("removed %d subscriptions, want %d", got, want)
				}
				delete(model, id)
			},
			"subscribe": func(t *rapid.T) {
				id, f := ids.Draw(t, "id"), filters.Draw(t, "filter")
				if err := x.subscribe(id, f, limits()); err != nil {
					t.Fatal(err)
				}
				if model[id] != nil {
					model[id][f.key()] = f
				}
			},
			"unsubscribe": func(t *rapid.T) {
				id, f := ids.Draw(t, "id"), filters.Draw(t, "filter")
				x.unsubscribe(id, f)
				delete(model[id], f.key())
			},
			"": func(t *rapid.T) {
				topics := []topic{{event: LicenceActivated}}
				for _, name := range names {
					for a := Created; a <= Deleted; a++ {
						topics = append(topics, topic{ResourcesChanged, name, a})
					}
				}
				for _, topic := range topics {
					var want []string
					for id, subs := range model {
						for _, f := range subs {
							if f.matches(topic) && (topic.resource != "users" || reads[id]) {
								want = append(want, id)
								break
							}
						}
					}
					got := x.match(topic)
					slices.Sort(got)
					slices.Sort(want)
					if !slices.Equal(got, want) {
						t.Fatalf("%v matches %v, want %v", topic, got, want)
					}
					for id := range model {
						if x.wants(id, topic) != slices.Contains(want, id) {
							t.Fatalf("wants(%s, %v) differs from match", id, topic)
						}
					}
				}
				if len(model) == 0 && len(x.all)+len(x.events)+len(x.topics) != 0 {
					t.Fatal("something is left of nobody")
				}
			},
		})
	})
}

// FuzzFilter reads payloads of Subscribe: whatever is accepted has a normal form that reads back as itself.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`{"e":"portos.resources.changed"}`, `{"e":"portos.licence.activated","r":5}`, `{"E":"portos.resources.changed","R":[{"N":"x","A":null}]}`,
		`{"e":"portos.resources.changed","r":[{"n":"devices","a":["created","UPDATED"]},{"n":"devices","a":[]}]}`, `null`, `[1]`, `{"e":1}`,
		`{"e":"portos.resources.changed","r":[{"n":"a\nb 3","a":["deleted"]}]}`,
	} {
		f.Add(s)
	}
	n := names{limit: limits()}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		one, wrong := n.parse(v)
		if wrong != nil {
			if wrong.text == "" || len(wrong.text) > 1000 {
				t.Fatalf("%s: error %q", text, wrong.text)
			}
			return
		}
		back, err := encode(one.subscription())
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(back, &v) != nil {
			t.Fatalf("%s cannot be read", back)
		}
		two, wrong := n.parse(v)
		if wrong != nil || one.key() != two.key() || one.event != two.event || !maps.Equal(one.resources, two.resources) {
			t.Fatalf("%s became %s: %v", text, back, wrong)
		}
	})
}

// FuzzNotification reads bodies of publishers: whatever is accepted can be encoded, and reads back as accepted.
func FuzzNotification(f *testing.F) {
	for _, s := range []string{
		`{"e":"portos.resources.changed","p":{"n":"tickets","a":"Created","i":{"i":"1","v":7},"r":[{"x":1e400},[]]}}`,
		`{"e":"portos.resources.changed","s":{"c":"x"},"r":"ref","ea":"2030-01-01","p":{"n":"t","a":3,"i":{"i":"1","n":"t"},"u":{"u":"a","f":"b"}}}`,
		`{"e":"portos.licence.activated","p":{"shopId":1}}`, `{"e":"x","p":[]}`, `{"P":{"R":5},"p":{"r":[1]}}`, `{}`,
	} {
		f.Add(s)
	}
	s := &System{names: &names{limit: limits()}, config: Config{Clock: time.Now}}
	read := func(text string) (*Notification, []*badValue) {
		var v map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if d.Decode(&v) != nil || v == nil || !json.Valid([]byte(text)) {
			return nil, nil
		}
		n, wrong := parseNotification([]byte(text), v)
		_, more := s.accept(&n)
		return &n, append(wrong, more...)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, wrong := read(text)
		if n == nil || len(wrong) > 0 {
			return
		}
		out, err := encode(n)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again, wrong := read(string(out)); again == nil || len(wrong) > 0 {
			t.Fatalf("%s became %s: %v", text, out, wrong)
		}
	})
}

// FuzzLicenceCode reads codes of strangers: none is accepted that the keys have not signed.
func FuzzLicenceCode(f *testing.F) {
	keys := hubbub.RandomKeyRing()
	code, err := IssueLicence(keys, requestCode(licenceRequest{"here", 1}), Terms{MaxDevices: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(code)
	f.Add("HA1.e30.1.AAAA")
	f.Add(requestCode(licenceRequest{"x", 2}))
	f.Fuzz(func(t *testing.T, text string) {
		g, wrong := parseActivationCode(keys, text, "here")
		if (wrong == nil) != (strings.TrimSpace(text) == code) {
			t.Fatalf("%q: %v, %v", text, g, wrong)
		}
		if r, err := parseRequestCode(text); err == nil && r.Installation == "" {
			t.Fatalf("%q is a request of nobody", text)
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	w := &Webhooks{FirstDelay: time.Second, MaxDelay: 10 * time.Second}
	for tries, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 90: 10 * time.Second} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(w, tries)
			if d < want*3/4 || d > want*5/4 {
				t.Fatalf("after %d tries: %v, want %v and a quarter either way", tries, d, want)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Errorf("after %d tries always the same pause", tries)
		}
	}
}
