package notify

import (
	"encoding/json"
	"net/http"
	"time"
)

func (s *System) getLicense(w http.ResponseWriter, r *http.Request) error {
	l := s.License()
	if l == nil {
		return problem(http.StatusNotFound, 0, "No licence has been activated.")
	}
	writeJSON(w, http.StatusOK, l)
	return nil
}

// whole returns a member that is a whole number from low to high; missing is 0.
func whole(body map[string]any, name string, low, high int64) (int64, *badValue) {
	v := member(body, name)
	if v == nil {
		return 0, nil
	}
	n, ok := v.(json.Number)
	i, err := n.Int64()
	if !ok || err != nil || i < low || i > high {
		return 0, bad(name, "%s is %s, want a whole number from %d to %d", name, show(v), low, high)
	}
	return i, nil
}

// postRequestCode answers a ProductLicenseRequest, {shopId}, with the request code.
func (s *System) postRequestCode(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, s.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	if member(body, "shopId") == nil {
		return invalid(required("shopId"))
	}
	shop, wrong := whole(body, "shopId", 0, 1<<53)
	if wrong != nil {
		return invalid(wrong)
	}
	writeJSON(w, http.StatusOK, s.RequestCode(shop))
	return nil
}

// postActivate answers a ProductLicenseActivation, {activationCode}, with the License.
func (s *System) postActivate(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, s.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	v, err := members(body, maxCode, "*activationCode")
	if err != nil {
		return err
	}
	l, err := s.Activate(r.Context(), v["activationCode"])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, l)
	return nil
}

// postIssue answers {requestCode, days, maxDevices} with an activation code. It is there in development only.
func (s *System) postIssue(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, s.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	v, err := members(body, maxCode, "*requestCode")
	if err != nil {
		return err
	}
	days, wrong := whole(body, "days", 1, 36_500)
	if wrong != nil {
		return invalid(wrong)
	}
	devices, wrong := whole(body, "maxDevices", 0, 1_000_000)
	if wrong != nil {
		return invalid(wrong)
	}
	code, err := IssueLicence(s.config.Keys, v["requestCode"],
		Terms{Lifetime: time.Duration(days) * 24 * time.Hour, MaxDevices: int(devices)})
	if err != nil {
		return invalid(bad("requestCode", "%v", err))
	}
	writeJSON(w, http.StatusOK, code)
	return nil
}
