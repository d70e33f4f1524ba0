package relay_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/relay"
)

func TestParseCookie(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64<<10)
	for _, test := range []struct {
		name, text string
		want       relay.Cookie
		err        string
	}{
		{"as suggested", "Viewmodel=SomeVM&RootId=12|7", relay.Cookie{ViewModel: "SomeVM", RootID: "12|7"}, ""},
		{"any case", "VIEWMODEL=SomeVM&rootid=12|7", relay.Cookie{ViewModel: "SomeVM", RootID: "12|7"}, ""},
		{"any order", "RootId=1|2&viewModel=Order.Close", relay.Cookie{ViewModel: "Order.Close", RootID: "1|2"}, ""},
		{"without RootId", "Viewmodel=SomeVM", relay.Cookie{ViewModel: "SomeVM"}, ""},
		{"escapes", "View%6dodel=Some%20VM&RootId=12%7c7", relay.Cookie{ViewModel: "Some VM", RootID: "12|7"}, ""},
		{"escaped separators", "Viewmodel=a%26b%3Dc&RootId=%25", relay.Cookie{ViewModel: "a&b=c", RootID: "%"}, ""},
		{"a plus is a plus", "Viewmodel=a+b", relay.Cookie{ViewModel: "a+b"}, ""},
		{"value with =", "Viewmodel=a=b", relay.Cookie{ViewModel: "a=b"}, ""},
		{"letters of all kinds", "Viewmodel=Größe&RootId=日|1", relay.Cookie{ViewModel: "Größe", RootID: "日|1"}, ""},
		{"other keys are kept", "x=1&Viewmodel=V&flag&x=2&Y=%20&=z", relay.Cookie{ViewModel: "V",
			Rest: []relay.CookieField{{"x", "1"}, {"flag", ""}, {"x", "2"}, {"Y", " "}, {"", "z"}}}, ""},
		{"empty parts", "&&Viewmodel=V&", relay.Cookie{ViewModel: "V"}, ""},
		{"64 KB", "Viewmodel=V&RootId=" + long, relay.Cookie{ViewModel: "V", RootID: long}, ""},
		{"empty", "", relay.Cookie{}, "has no Viewmodel"},
		{"no Viewmodel", "RootId=12|7", relay.Cookie{}, `cookie "RootId=12|7" has no Viewmodel`},
		{"other text", "hello", relay.Cookie{}, "has no Viewmodel"},
		{"64 KB of other text", long, relay.Cookie{}, "has no Viewmodel"},
		{"empty Viewmodel", "Viewmodel=&RootId=1|2", relay.Cookie{}, "Viewmodel is empty"},
		{"Viewmodel twice", "Viewmodel=a&viewmodel=a", relay.Cookie{}, "Viewmodel is there twice"},
		{"RootId twice", "Viewmodel=a&RootId=1&ROOTID=2", relay.Cookie{}, "RootId is there twice"},
		{"broken escape", "Viewmodel=a%zz", relay.Cookie{}, `value of "Viewmodel": invalid URL escape "%zz"`},
		{"cut escape", "Viewmodel=a%2", relay.Cookie{}, `invalid URL escape "%2"`},
		{"broken escape of a key", "%=1&Viewmodel=a", relay.Cookie{}, `key "%": invalid URL escape "%"`},
		{"broken escape elsewhere", "Viewmodel=a&note=100%", relay.Cookie{}, `value of "note": invalid URL escape "%"`},
		{"not UTF-8", "Viewmodel=%ff", relay.Cookie{}, `value of "Viewmodel": not UTF-8`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := relay.ParseCookie(test.text)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || len(err.Error()) > 300 {
					t.Fatalf("error %v, want a short one with %q", err, test.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func FuzzParseCookie(f *testing.F) {
	for _, text := range []string{"Viewmodel=SomeVM&RootId=12|7", "viewmodel=a%26b&x=1&x&=&%41=%zz", "RootId=%ff&Viewmodel=", "&&=%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := relay.ParseCookie(text)
		if err != nil {
			if !reflect.DeepEqual(c, relay.Cookie{}) || len(err.Error()) > 1000 {
				t.Fatalf("%+v beside the error %v", c, err)
			}
			return
		}
		again, err := relay.ParseCookie(c.String())
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%q gives %+v, as text %q, which gives %+v, %v", text, c, c.String(), again, err)
		}
	})
}
