/*
 * One order: two workers that crash anywhere, wake late or lose the answer to a commit; webhooks that come early, late or
 * twice; a person who decides. Each transition is one statement of sql.go, with the same name, states and fence.
 *
 *	spin -a order.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * With -DNAIVE the claim is written after the call, as a program would that stores the job's ID and nothing before. Spin finds
 * at once how it loses a charge, and without that assertion how it pays twice.
 */
mtype = { queued, sending, waiting, done, refused, unknown, expired, cancelled };

mtype state = queued;    /* the row */
byte fence = 0;
bool hasID = false;

byte charged = 0;        /* by the API */
byte resends = 0;        /* decisions of a person */
byte extra = 0;          /* charges that came to light beside the order's own */
bool decided = false;

byte crashes = 0, refusals = 0, events = 0;
#define CRASHES 2
#define REFUSALS 1
#define EVENTS 2

/* submit makes the row; it is where this model begins. */
inline submit() { skip }

/* The transitions. ok tells whether the row was in a state that allows it. */
inline claim(mine, ok) { atomic { if :: state == queued -> state = sending; fence++; mine = fence; ok = true :: else -> ok = false fi } }
inline record(mine, ok) { atomic { if :: (state == sending || state == unknown || state == queued) && fence == mine -> state = waiting; hasID = true; ok = true :: else -> ok = false fi } }
inline requeue(mine, ok) { atomic { if :: (state == sending || state == unknown || state == queued) && fence == mine -> state = queued; ok = true :: else -> ok = false fi } }
inline refuse(mine, ok) { atomic { if :: (state == sending || state == unknown || state == queued) && fence == mine -> state = refused; ok = true :: else -> ok = false fi } }
inline park(mine, ok) { atomic { if :: state == sending && fence == mine -> state = unknown; ok = true :: else -> ok = false fi } }
inline event(ok) { atomic { if :: state == sending || state == unknown || state == expired || state == queued -> state = waiting; hasID = true; ok = true :: else -> ok = false fi } }
inline resolve(ok) { atomic { if :: state == unknown || state == expired -> state = waiting; hasID = true; ok = true :: else -> ok = false fi } }
inline resend(ok) { atomic { if :: state == unknown -> state = queued; ok = true :: else -> ok = false fi } }
inline abandon(ok) { atomic { if :: state == unknown || state == expired -> state = cancelled; ok = true :: else -> ok = false fi } }
inline cancel(ok) { atomic { if :: state == queued -> state = cancelled; ok = true :: else -> ok = false fi } }
inline end(ok) { atomic { if :: state == waiting -> state = done; ok = true :: else -> ok = false fi } }
inline expire(ok) { atomic { if :: state == waiting -> state = expired; ok = true :: else -> ok = false fi } }
inline quarantine(ok) { atomic { if :: state == queued || state == sending -> state = unknown; ok = true :: else -> ok = false fi } }

/* A process may die between any two steps. River gives its work to another, which starts from the row. */
#define MAYCRASH if :: crashes < CRASHES -> crashes++; goto gone :: ok = ok fi

inline charge() {
	charged++;
	assert(charged <= 1 + resends)   /* no run sends an order twice by itself */
}

proctype worker() {
	byte mine = 0;
	bool ok = false;
gone:
	mine = 0;
	do
	:: state == queued ->
#ifdef NAIVE
		ok = true; mine = fence;
#else
		claim(mine, ok);
		/* The answer to the commit is lost: the worker finds its claim by the token, or another's and does not send. */
		if :: !ok -> goto gone :: else -> skip fi;
#endif
		MAYCRASH;
		if
		:: atomic { charge() };                    /* charged, and answered */
			MAYCRASH;
#ifdef NAIVE
			atomic { if :: state == queued -> state = waiting; hasID = true :: else -> extra++ fi }
#else
			record(mine, ok);
			if :: !ok && !(hasID && fence == mine) -> extra++ :: else -> skip fi
#endif
		:: atomic { charge() };                    /* charged, the answer is lost */
			MAYCRASH;
			park(mine, ok)
		:: refusals < REFUSALS -> refusals++;      /* not charged: 429, or never sent */
			MAYCRASH;
			requeue(mine, ok)
		:: ok = ok;                                /* not charged, and refused for good */
			MAYCRASH;
			refuse(mine, ok)
		fi
	:: state == sending && fence != mine ->        /* found by somebody else: River's rescue, or the sweeper */
		byte theirs = fence;
		park(theirs, ok)
	:: state == waiting ->
		if
		:: ok = ok; end(ok)
		:: ok = ok; expire(ok)
		fi
	:: timeout -> break
	od
}

/* The API's event carries the order's reference, and is believed only when the job can be read. */
proctype webhook() {
	bool ok = false;
	do
	:: events < EVENTS && charged > extra -> events++; event(ok)
	:: timeout -> break
	od
}

/* A person acts once: on an order that rests, or cancels it before it is sent, or distrusts a restored backup. */
proctype person() {
	bool ok = false;
	if
	:: state == unknown && !decided -> atomic { resend(ok); if :: ok -> resends++; decided = true :: else -> skip fi }
	:: state == unknown || state == expired -> abandon(ok); if :: ok -> decided = true :: else -> skip fi
	:: (state == unknown || state == expired) && charged > extra -> resolve(ok)
	:: state == queued -> cancel(ok)
	:: state == queued || state == sending -> quarantine(ok)
	:: timeout -> skip
	fi
}

init {
	submit();
	atomic { run worker(); run worker(); run webhook(); run person() };
	(_nr_pr == 1);
	/* The order rests, and a charge is on it, known as an extra one, or somebody has decided about it. */
	assert(state != queued && state != sending && state != waiting);
	assert(charged == 0 || hasID || state == unknown || extra == charged || decided);
	assert(!(state == done && charged == 0));
	assert(!((state == refused || state == cancelled) && charged > extra && !decided))
}
