package identity

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// pageRoutes adds the pages to a mux without PathBase.
func (p *provider) pageRoutes(mux *http.ServeMux) {
	own := http.NewCrossOriginProtection() // forms of other pages are refused
	page := func(f func(http.ResponseWriter, *http.Request) error) http.Handler {
		return own.Handler(p.visiting(limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch err := f(w, r); {
			case errors.Is(err, errNoSignIn):
				p.pages.expired(w, r)
			case err != nil:
				p.fail(w, r, err)
			}
		}))))
	}
	mux.Handle("GET "+pathLogin, page(p.getLogin))
	mux.Handle("POST "+pathLogin, page(p.postLogin))
	mux.Handle("GET "+pathRegister, page(p.getRegister))
	form := page(p.postRegisterPage)
	mux.HandleFunc("POST "+pathRegister, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			form.ServeHTTP(w, r)
			return
		}
		if err := p.postRegister(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
	mux.Handle("GET "+pathSignedOut, page(func(w http.ResponseWriter, _ *http.Request) error {
		return p.pages.show(w, http.StatusOK, "note.html", view{Title: "You are signed out"}, "")
	}))
	for path, file := range map[string][2]string{pathStyle: {"style.css", "text/css; charset=utf-8"}, pathIcon: {"icon.svg", "image/svg+xml"}} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := serveFile(w, file[0], file[1]); err != nil {
				p.fail(w, r, err)
			}
		})
	}
}

// begun returns the view of a page and where its form leads in the end: the sign-in that the request names, if it names one.
func (p *provider) begun(ctx context.Context, title, id string) (v view, s *signIn, target string, err error) {
	v = view{Title: title}
	if id == "" {
		return v, nil, "", nil
	}
	s, err = p.signIn(ctx, id)
	if err != nil {
		return v, nil, "", err
	}
	v.Request = s.id
	if u, err := url.Parse(s.redirectURI); err == nil && u.Host != "" {
		v.Client = u.Host
	}
	return v, s, s.redirectURI, nil
}

func (p *provider) getLogin(w http.ResponseWriter, r *http.Request) error {
	v, s, target, err := p.begun(r.Context(), "Sign in", r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	if s != nil && s.Done() {
		p.goOn(w, r, s)
		return nil
	}
	if here := visitFrom(r.Context()).session; s == nil && here != nil {
		return p.showWho(w, r, here)
	}
	return p.pages.show(w, http.StatusOK, "login.html", v, target)
}

// showWho tells a person who is signed in.
func (p *provider) showWho(w http.ResponseWriter, r *http.Request, here *session) error {
	a, err := p.account(r.Context(), here.account)
	if err != nil {
		return err
	}
	return p.pages.show(w, http.StatusOK, "note.html", view{Title: "Signed in", Name: a.UserName}, "")
}

// goOn sends the browser on after somebody has signed in.
func (p *provider) goOn(w http.ResponseWriter, r *http.Request, s *signIn) {
	to := p.config.PathBase + pathLogin
	if s != nil {
		to = p.config.PathBase + pathCallback + "?id=" + url.QueryEscape(s.id)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// enter signs an account in in the browser, and for the client.
func (p *provider) enter(w http.ResponseWriter, r *http.Request, s *signIn, id uuid.UUID) error {
	now := p.box.Now()
	if s != nil {
		if err := p.signedIn(r.Context(), s, id.String(), now); err != nil {
			return err
		}
	}
	if err := p.beginSession(r.Context(), w, id.String(), now); err != nil {
		return err
	}
	p.goOn(w, r, s)
	return nil
}

func (p *provider) postLogin(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	v, s, target, err := p.begun(r.Context(), "Sign in", r.PostForm.Get("request"))
	if err != nil {
		return err
	}
	v.Email = cut(strings.TrimSpace(r.PostForm.Get("email")), 254)
	giveBack, wait := p.tries.take(emailKey(v.Email), p.config.ClientAddress(r), p.box.Now())
	if wait > 0 {
		p.counts.failedSignIns.Add(1)
		seconds := int(wait/time.Second) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		v.Errors = []string{"Too many sign-ins have failed. Try again in " + strconv.Itoa(seconds) + " seconds."}
		return p.pages.show(w, http.StatusTooManyRequests, "login.html", v, target)
	}
	a, err := accountByEmail(r.Context(), p.store, v.Email)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return err
	}
	right, err := p.passwords.right(r.Context(), a, r.PostForm.Get("password"))
	if err != nil {
		return err
	}
	if !right {
		p.counts.failedSignIns.Add(1)
		v.Errors = []string{"The e-mail or the password is not right."}
		return p.pages.show(w, http.StatusUnauthorized, "login.html", v, target)
	}
	giveBack()
	return p.enter(w, r, s, a.ID)
}

func (p *provider) getRegister(w http.ResponseWriter, r *http.Request) error {
	v, s, target, err := p.begun(r.Context(), "Register", r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	if s != nil && s.Done() {
		p.goOn(w, r, s)
		return nil
	}
	return p.pages.show(w, http.StatusOK, "register.html", v, target)
}

// postRegisterPage is [provider.postRegister] for a person, who is signed in by it.
func (p *provider) postRegisterPage(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	v, s, target, err := p.begun(r.Context(), "Register", r.PostForm.Get("request"))
	if err != nil {
		return err
	}
	n := newcomer{Email: strings.TrimSpace(r.PostForm.Get("email")), UserName: strings.TrimSpace(r.PostForm.Get("userName")), Password: r.PostForm.Get("password")}
	a, wrong, err := p.admit(r.Context(), n)
	if err != nil {
		return err
	}
	if a == nil {
		v.Email, v.UserName = cut(n.Email, 254), cut(n.UserName, 100)
		for _, e := range wrong {
			v.Errors = append(v.Errors, e.text)
		}
		return p.pages.show(w, http.StatusBadRequest, "register.html", v, target)
	}
	return p.enter(w, r, s, a.ID)
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
