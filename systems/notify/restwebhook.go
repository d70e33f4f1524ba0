package notify

import (
	"context"
	"net/http"
	"strconv"

	"github.com/hubbub-go/hubbub"
)

func (s *System) getWebhooks(w http.ResponseWriter, r *http.Request) error {
	all, err := s.webhooks(r.Context())
	if err != nil {
		return err
	}
	writeList(w, all)
	return nil
}

// postWebhook takes {url, secret, e, r}: the filter is that of Subscribe.
func (s *System) postWebhook(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, s.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	var wrong []*badValue
	address, b := text(body, "url", 2048)
	if b == nil {
		b = checkURL(address)
	}
	if b != nil {
		wrong = append(wrong, b)
	}
	secret, b := text(body, "secret", 256)
	if b != nil {
		wrong = append(wrong, b)
	}
	f, b := s.names.parse(body)
	if b != nil {
		wrong = append(wrong, b)
	}
	if len(wrong) > 0 {
		return invalid(wrong...)
	}
	hook, err := s.addWebhook(r.Context(), hubbub.UserFrom(r.Context()), address, secret, f)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/webhooks/"+hook.ID)
	writeJSON(w, http.StatusCreated, hook)
	return nil
}

func (s *System) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	found, err := s.removeWebhook(r.Context(), id)
	if err != nil {
		return err
	}
	if !found {
		return notFound("webhook", id)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *System) getParked(w http.ResponseWriter, r *http.Request) error {
	all, err := s.parked(r.Context())
	if err != nil {
		return err
	}
	writeList(w, all)
	return nil
}

func (s *System) postRetry(w http.ResponseWriter, r *http.Request) error {
	return onParked(w, r, http.StatusAccepted, s.retryParked)
}

func (s *System) deleteParked(w http.ResponseWriter, r *http.Request) error {
	return onParked(w, r, http.StatusNoContent, s.dropParked)
}

func onParked(w http.ResponseWriter, r *http.Request, done int, do func(context.Context, int64) (bool, error)) error {
	text := r.PathValue("seq")
	seq, err := strconv.ParseInt(text, 10, 64)
	found := false
	if err == nil {
		found, err = do(r.Context(), seq)
		if err != nil {
			return err
		}
	}
	if !found {
		return notFound("parked delivery", text)
	}
	w.WriteHeader(done)
	return nil
}
