package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// control serves the paths below /_mock/, which the real API does not have. Bodies must be JSON, and requests
// from pages of other origins are refused.
type control struct {
	api    *creatifytest.API
	paths  map[string]map[string]http.HandlerFunc // by path and method
	origin *http.CrossOriginProtection
}

func newControl(api *creatifytest.API) *control {
	c := &control{api: api, origin: http.NewCrossOriginProtection()}
	c.paths = map[string]map[string]http.HandlerFunc{
		"/_mock":         {"GET": c.state},
		"/_mock/faults":  {"GET": c.faults, "POST": c.addFault, "DELETE": c.clearFaults},
		"/_mock/credits": {"POST": c.addCredits},
		"/_mock/jobs":    {"GET": c.jobs},
		"/_mock/charges": {"GET": c.charges},
	}
	return c
}

func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := c.origin.Check(r); err != nil {
		refuse(w, http.StatusForbidden, "the request comes from a page of another origin (send it from a program)")
		return
	}
	methods, ok := c.paths[strings.TrimSuffix(r.URL.Path, "/")]
	if !ok {
		refuse(w, http.StatusNotFound, "no such path (use "+strings.Join(slices.Sorted(maps.Keys(c.paths)), ", ")+")")
		return
	}
	handle, ok := methods[r.Method]
	if !ok {
		allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		w.Header().Set("Allow", allow)
		refuse(w, http.StatusMethodNotAllowed, "the path does not allow this method (use "+allow+")")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	handle(w, r)
}

func (c *control) state(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, map[string]any{
		"credits":            c.api.Credits(),
		"charged":            c.api.Charged(),
		"jobs":               len(c.api.Jobs()),
		"requests":           c.api.Calls(""),
		"leaked_credentials": c.api.LeakedCredentials(),
		"faults":             specsOf(c.api),
	})
}

func (c *control) faults(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, specsOf(c.api))
}

func specsOf(api *creatifytest.API) []faultSpec {
	specs := []faultSpec{}
	for _, fault := range api.Faults() {
		specs = append(specs, specOf(fault))
	}
	return specs
}

const maxFaults = 100

func (c *control) addFault(w http.ResponseWriter, r *http.Request) {
	var spec faultSpec
	if !decode(w, r, &spec) {
		return
	}
	if len(c.api.Faults()) >= maxFaults { // each request looks at all of them
		refuse(w, http.StatusConflict, "too many faults wait (clear them by DELETE /_mock/faults)")
		return
	}
	fault, err := spec.fault()
	if err == nil {
		err = c.api.Inject(fault)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	respond(w, http.StatusCreated, specsOf(c.api))
}

func (c *control) clearFaults(w http.ResponseWriter, _ *http.Request) {
	c.api.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}

func (c *control) addCredits(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Add *float64 `json:"add"`
		Set *float64 `json:"set"`
	}
	if !decode(w, r, &body) {
		return
	}
	switch {
	case (body.Add == nil) == (body.Set == nil) || body.Set != nil && *body.Set < 0:
		refuse(w, http.StatusBadRequest, `want {"add": 100}, {"add": -100} or {"set": 0}`)
		return
	case body.Set != nil:
		for range 2 { // the second is for a huge balance, which swallows the difference; 0 in between would refuse calls
			c.api.AddCredits(*body.Set - c.api.Credits())
		}
	default:
		c.api.AddCredits(*body.Add)
	}
	respond(w, http.StatusOK, map[string]float64{"credits": c.api.Credits()})
}

func (c *control) jobs(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		ID        string    `json:"id"`
		Call      string    `json:"call"`
		Name      string    `json:"name"`
		Reference string    `json:"reference"` // the parameter ref of the webhook URL
		Status    string    `json:"status"`
		Progress  float64   `json:"progress"`
		Charged   float64   `json:"charged"`
		Reads     int       `json:"reads"`
		Created   time.Time `json:"created"`
	}
	all := []shown{}
	for _, id := range c.api.Jobs() {
		if j, ok := c.api.Job(id); ok {
			all = append(all, shown{j.ID, nameOf(j.Request.Call), j.Request.Name, j.Request.Reference(), j.Status, j.Progress, j.Charged, j.Reads, j.Created})
		}
	}
	respond(w, http.StatusOK, all)
}

func (c *control) charges(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		Job       string          `json:"job"`
		Call      string          `json:"call"`
		Credits   float64         `json:"credits"`
		At        time.Time       `json:"at"`
		Name      string          `json:"name"`
		Reference string          `json:"reference"`
		Variables json.RawMessage `json:"variables"`
	}
	all := []shown{}
	for _, charge := range c.api.Charges() {
		all = append(all, shown{charge.JobID, nameOf(charge.Call), charge.Credits, charge.At, charge.Name, charge.Reference(), charge.Variables})
	}
	respond(w, http.StatusOK, all)
}

const maxControlBody = 64 << 10

// decode reads the object in a request's body. If it returns false, it has refused the request.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	// A form, which a page of another origin can send without a preflight, has another type.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "the body must be JSON (add the header Content-Type: application/json)")
		return false
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, after := decoder.Token(); !errors.Is(after, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("the body: %v (the page at / has examples)", err))
		return false
	}
	return true
}

func respond(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // an error means that the client has left
}

func refuse(w http.ResponseWriter, status int, text string) {
	respond(w, status, map[string]string{"error": text})
}
