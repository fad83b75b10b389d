// Package durable keeps orders for Creatify's previews and videos in a database, and sees each to its end,
// whatever dies: no order is paid twice by itself, and no charged job is lost. One machine needs a SQLite file
// and nothing to set up; many machines share a PostgreSQL database.
//
//	queue, err := durable.OpenFile(ctx, "orders.db", durable.Options{Client: client})
//	...
//	go queue.Run(ctx)
//	_, err = queue.Submit(ctx, durable.Order{ID: "order-17", Kind: durable.Preview, Params: params})
//	order, err := queue.Wait(ctx, "order-17")
//
// An order's ID is the caller's own, and makes a second Submit harmless. A preview that somebody approves and
// then has rendered is two orders: the second has Kind Render and names the first.
//
// An order ends as done, failed, rejected, refused or cancelled. It rests as unknown when its paid call may have
// been charged and its job is not known, and as expired when its time was up before its job ended. A webhook
// continues both, or a person does, with [Queue.Resolve], [Queue.Resend] or [Queue.Abandon], or at the page of
// [Queue.StatusHandler].
//
// The queue runs on River (github.com/riverqueue/river), whose tables stand beside its own in a schema of their
// own. This package's table is the truth about an order; River decides who looks at it when. The document
// docs/durable.md says what is promised, and what to do at 3 a.m.
package durable
