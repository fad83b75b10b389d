package creatify

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"strconv"
)

// VariablesFrom makes variables from a struct, or from a pointer to one. Each of its fields with a tag is a variable:
//
//	type Order struct {
//		Headline string   `creatify:"headline,text"`
//		Photo    *url.URL `creatify:"photo,image"`
//		Note     string   `creatify:"note,text,omitempty"`
//	}
//
// The tag holds the variable's name and its kind: text, image, video, audio, avatar or voiceover. Fields without a tag, or
// with the tag "-", are none. A nil field is left out; the options omitempty and omitzero leave out more, by the rules of
// [encoding/json]. Embedded structs count as if their fields stood in the outer one; of two variables of the same name the
// shallower wins, and at the same depth they are an error.
//
// A field is of a string type; of one with a MarshalText or String method, such as [net/url.URL]; or, for text only, a
// number or a bool, written in decimal without an exponent, and as true or false. MarshalText goes before all else, and
// String before the number but not before the string. A [Variable] needs no kind, and a [json.RawMessage], which is sent
// as it is, has the kind raw or none. Of each of these there may be a pointer.
//
// What is wrong, with the type or with the values, is one [*ValidationError] with all problems, by the path of the field.
func VariablesFrom(v any) (Variables, error) {
	root := reflect.ValueOf(v)
	if root.Kind() == reflect.Pointer {
		root = root.Elem()
	}
	if root.Kind() != reflect.Struct {
		return nil, invalid("VariablesFrom", "needs a struct or a pointer to one, not %s", describe(v))
	}
	p := planOf(root.Type())
	found := p.findings("VariablesFrom")
	all := make(Variables, len(p.fields))
	for i := range p.fields {
		f := &p.fields[i]
		if f.writes == formNone {
			found.add(f.path, fmt.Sprintf("has type %v, which cannot be written", f.base))
			continue
		}
		variable, sent, problem := f.write(root)
		if found.add(f.path, problem); sent {
			all[f.name] = variable
		}
	}
	if err := validation(found.problems); err != nil {
		return nil, err
	}
	return all, nil
}

// Into reads variables, such as those of a job, into the struct to which v points, by the tags that [VariablesFrom]
// describes. It sets the fields whose variables are there, and ignores variables that have no field. What the server
// rewrote, as it may do with the URLs of media, is read as it came.
//
// It reads types with an UnmarshalText method, and of those with MarshalText or String none but these; strings,
// [net/url.URL], numbers, bools, [Variable] and [json.RawMessage]. A pointer field gets a new value to point to.
//
// What cannot be read is one [*ValidationError] with all problems. Their fields stay as they are; the others are set.
func (vs Variables) Into(v any) error {
	root := reflect.ValueOf(v)
	if root.Kind() != reflect.Pointer || root.Elem().Kind() != reflect.Struct {
		return invalid("Into", "needs a pointer to a struct, not %s", describe(v))
	}
	root = root.Elem()
	p := planOf(root.Type())
	found := p.findings("Into")
	for i := range p.fields {
		f := &p.fields[i]
		if variable, ok := vs[f.name]; ok {
			found.add(f.path, f.read(root, variable))
		}
	}
	return validation(found.problems)
}

func describe(v any) string {
	if t := reflect.TypeOf(v); t == nil {
		return "nil"
	} else if t.Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil() {
		return fmt.Sprintf("a nil %v", t)
	} else {
		return fmt.Sprintf("a %v", t)
	}
}

type findings struct {
	call     string
	problems []Problem
}

func (f *findings) add(path, problem string) {
	if problem != "" {
		f.problems = append(f.problems, Problem{f.call + ": " + path, problem})
	}
}

// write makes the field's variable, unless it is left out.
func (f *field) write(root reflect.Value) (variable Variable, sent bool, problem string) {
	v, ok := f.in(root, false)
	if !ok || isNil(v) || f.omitEmpty && isEmpty(v) {
		return Variable{}, false, ""
	}
	if f.omitZero {
		if zero, problem := isZero(v); zero || problem != "" {
			return Variable{}, false, problem
		}
	}
	if f.pointer {
		if v = v.Elem(); isNil(v) {
			return Variable{}, false, ""
		}
	}
	if variable, problem = f.variable(v); problem == "" {
		problem = variable.problem()
	}
	return variable, problem == "", problem
}

func (f *field) variable(v reflect.Value) (Variable, string) {
	switch f.writes {
	case formVariable:
		variable := v.Interface().(Variable)
		return variable, f.mismatch(variable)
	case formRaw:
		return RawVariable(v.Bytes()), ""
	}
	text, problem := f.text(v)
	return Variable{kind: f.kind, value: text}, problem
}

// mismatch compares the kind in the tag, if there is one, with the type of a variable, if it is known.
func (f *field) mismatch(v Variable) string {
	if kind := v.Type(); f.kind != "" && kind != f.kind && kind.property() != "" {
		return wrongType(kind, f.kind)
	}
	return ""
}

func (f *field) text(v reflect.Value) (text, problem string) {
	switch f.writes {
	case formText:
		method := methodsOf(v).(encoding.TextMarshaler)
		problem = guard("MarshalText", func() error {
			b, err := method.MarshalText()
			text = string(b)
			return err
		})
		return text, problem
	case formStringer:
		method := methodsOf(v).(fmt.Stringer)
		problem = guard("String", func() error { text = method.String(); return nil })
		return text, problem
	case formString:
		return v.String(), ""
	}
	return scalarText(v)
}

func scalarText(v reflect.Value) (text, problem string) {
	switch {
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), ""
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), ""
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), ""
	case !isFinite(v.Float()):
		return "", "is not a finite number"
	}
	return strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()), ""
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// methodsOf gives access also to the methods of a pointer to the value, which needs a copy where it has no address.
func methodsOf(v reflect.Value) any {
	if v.Kind() == reflect.Interface {
		return v.Interface()
	}
	if !v.CanAddr() {
		addressable := reflect.New(v.Type()).Elem()
		addressable.Set(v)
		v = addressable
	}
	return v.Addr().Interface()
}

// guard calls a method of the caller's type. Its error, or what it panics with, is not told: it may hold the value.
func guard(method string, call func() error) (problem string) {
	defer func() {
		if recover() != nil {
			problem = "its " + method + " method panicked"
		}
	}()
	if call() != nil {
		return "its " + method + " method returned an error"
	}
	return ""
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Interface:
		return v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil()
	case reflect.Pointer:
		return v.IsNil()
	}
	return v.Type() == rawType && v.IsNil()
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Bool, reflect.Interface, reflect.Pointer:
		return v.IsZero()
	}
	return (v.CanInt() || v.CanUint() || v.CanFloat()) && v.IsZero()
}

type zeroer interface{ IsZero() bool }

func isZero(v reflect.Value) (zero bool, problem string) {
	if v.Kind() == reflect.Interface && !v.Type().Implements(reflect.TypeFor[zeroer]()) {
		return v.IsZero(), ""
	}
	receiver := v.Interface()
	if v.Kind() != reflect.Pointer {
		receiver = methodsOf(v)
	}
	method, ok := receiver.(zeroer)
	if !ok {
		return v.IsZero(), ""
	}
	problem = guard("IsZero", func() error { zero = method.IsZero(); return nil })
	return zero, problem
}

// read sets the field to the variable. A field that cannot take it stays as it is.
func (f *field) read(root reflect.Value, variable Variable) (problem string) {
	switch {
	case f.reads == formNone && f.writes != formNone:
		return fmt.Sprintf("has type %v, which can be written but not read back: it has no UnmarshalText method", f.base)
	case f.reads == formNone:
		return fmt.Sprintf("has type %v, which cannot be read", f.base)
	}
	fresh := reflect.New(f.base)
	if problem = f.parse(fresh.Elem(), variable); problem != "" {
		return problem
	}
	v, ok := f.in(root, true)
	if !ok {
		return "lies behind a nil pointer to an embedded struct that is not exported, which cannot be set"
	}
	if !f.pointer {
		fresh = fresh.Elem()
	}
	v.Set(fresh)
	return ""
}

func (f *field) parse(v reflect.Value, variable Variable) (problem string) {
	switch f.reads {
	case formVariable:
		v.Set(reflect.ValueOf(variable))
		return f.mismatch(variable)
	case formRaw:
		if problem = variable.problem(); problem == "" {
			raw, _ := variable.MarshalJSON() // it has no problem
			v.SetBytes(bytes.Clone(raw))
		}
		return problem
	}
	kind, value, ok := variable.read()
	switch {
	case kind == "":
		return "the variable's type cannot be read"
	case kind != f.kind:
		return wrongType(kind, f.kind)
	case !ok:
		return "the variable's value cannot be read"
	case !f.parseText(v, value):
		return fmt.Sprintf("the variable's value is not of type %v", f.base)
	}
	return ""
}

func wrongType(got, want VariableType) string {
	return fmt.Sprintf("the variable is of type %q, not %q", oneLine(string(got)), want)
}

func (f *field) parseText(v reflect.Value, text string) bool {
	switch f.reads {
	case formText:
		method := v.Addr().Interface().(encoding.TextUnmarshaler)
		return guard("UnmarshalText", func() error { return method.UnmarshalText([]byte(text)) }) == ""
	case formURL:
		u, err := url.Parse(text)
		if err == nil {
			v.Set(reflect.ValueOf(*u))
		}
		return err == nil
	case formString:
		v.SetString(text)
		return true
	}
	return parseScalar(v, text)
}

func parseScalar(v reflect.Value, text string) bool {
	switch {
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err == nil
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return err == nil
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err == nil
	}
	n, err := strconv.ParseFloat(text, v.Type().Bits())
	v.SetFloat(n)
	return err == nil && isFinite(n)
}
