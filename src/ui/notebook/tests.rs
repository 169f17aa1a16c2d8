//! The notebook with a session on the toy generator, without a terminal.

use super::app::{Mode, NotebookApp};
use super::document::Document;
use super::model::{Mark, Notebook};
use super::outputs::{Piece, Status};
use crate::cache::Cache;
use crate::eval::{Options, State};
use crate::render::{Protocol, Terminal};
use crate::rng::Rng;
use crate::session::{Session, Start};
use crate::ui::Colour;
use crate::ui::full::{App, Compositor};
use crate::value::Models;
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn state() -> State {
    let options = Options { echo: true, ..Options::default() };
    State::new(Models::cpu(), "toy", options).unwrap()
}

fn session(state: &State, journals: Option<&Path>) -> Session {
    let folder = journals.map(Path::to_path_buf);
    let start = Start { state: state.clone(), model: "toy".into(), folder, lists: false };
    Session::start(start).unwrap()
}

pub(super) struct Place {
    _folder: tempfile::TempDir,
    pub(super) file: PathBuf,
    pub(super) journals: PathBuf,
    state: State,
}

impl Place {
    pub(super) fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gnt");
        std::fs::write(&file, text).unwrap();
        let journals = folder.path().join("journals");
        Self { file, journals, state: state(), _folder: folder }
    }

    fn open(&self) -> Notebook {
        let session = session(&self.state, Some(&self.journals));
        Notebook::open(&self.file, session, "base").unwrap()
    }
}

/// Waits until nothing runs.
pub(super) fn settle(notebook: &mut Notebook) {
    let begun = Instant::now();
    while notebook.busy() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        notebook.wait();
    }
}

pub(super) fn marks(notebook: &mut Notebook) -> String {
    let count = notebook.editor.document().cells().len();
    (0..count).map(|k| super::app::symbol(notebook.mark(k))).collect()
}

pub(super) fn output(notebook: &Notebook, at: usize) -> String {
    let id = notebook.editor.document().cells()[at].id;
    let lines = |p: &Piece| match p {
        Piece::Pictures { all } => format!("{} pictures", all.len()),
        other => other.lines(80).join("\n"),
    };
    notebook.output(id).iter().map(lines).collect::<Vec<_>>().join("\n")
}

pub(super) fn set(notebook: &mut Notebook, at: usize, text: &str) {
    notebook.editor.jump(super::editor::Place { cell: at, at: 0 });
    notebook.editor.select_all();
    notebook.editor.insert(text);
}

#[test]
fn what_depends_on_a_changed_cell_is_stale_and_runs_on_demand() {
    let place =
        Place::with("#%%\na = 2\n#%% md\nwords\n#%%\nb = a * 3\n#%%\nc = 7\n#%%\nprint(b)\n");
    let mut n = place.open();
    assert_eq!(marks(&mut n), "○ ○○○");
    // What it needs runs before it; the rest does not.
    n.run(4);
    settle(&mut n);
    assert_eq!((marks(&mut n).as_str(), output(&n, 4).as_str()), ("● ●○●", "6"));
    set(&mut n, 0, "a = 5");
    assert_eq!(marks(&mut n), "○ ○○○");
    n.run(2);
    settle(&mut n);
    assert_eq!(marks(&mut n), "● ●○○");
    assert_eq!(n.run_stale(), 2);
    settle(&mut n);
    assert_eq!((marks(&mut n).as_str(), output(&n, 4).as_str()), ("● ●●●", "15"));
    // The text as it was is fresh again only when it was the last to run.
    set(&mut n, 3, "c = 8");
    assert_eq!(marks(&mut n), "● ●○●");
    n.editor.undo();
    assert_eq!(marks(&mut n), "● ●●●");
}

#[test]
fn a_cell_that_read_a_picture_is_stale_when_the_picture_changed() {
    let place = Place::with("");
    let picture = place.file.with_file_name("x.png");
    let put = |value: u8| {
        let raster = crate::image::Raster::filled(8, 8, &[value, 2, 3]).unwrap();
        std::fs::write(&picture, crate::image::encode::png(&raster, &[]).unwrap()).unwrap();
    };
    put(1);
    let load = format!("x = image(\"{}\", size: 32)", picture.display());
    std::fs::write(&place.file, format!("#%%\n{load}\n#%%\nshow x\n#%%\nc = 7\n")).unwrap();
    let mut n = place.open();
    n.run_all();
    settle(&mut n);
    assert_eq!(marks(&mut n), "●●●");
    put(1);
    n.look_at_inputs();
    assert_eq!(marks(&mut n), "●●●", "the same content");
    put(9);
    assert_eq!(marks(&mut n), "●●●", "nobody looked yet");
    n.look_at_inputs();
    assert_eq!(marks(&mut n), "○○●");
    assert_eq!(n.run_stale(), 2);
    settle(&mut n);
    assert_eq!(marks(&mut n), "●●●");
    assert!(n.close());
    drop(n);
    // Also when it changed while the notebook was closed.
    assert_eq!(marks(&mut place.open()), "●●●");
    put(1);
    assert_eq!(marks(&mut place.open()), "○○●");
}

#[test]
fn a_cell_says_that_its_results_came_from_the_cache() {
    let mut place = Place::with("#%%\nw = sample(n: 3, seed: 1)\n#%%\nc = 7\n");
    let folder = tempfile::tempdir().unwrap();
    let cached = |place: &Place| {
        let mut n = place.open();
        n.run_all();
        settle(&mut n);
        let ids: Vec<u64> = n.editor.document().cells().iter().map(|c| c.id).collect();
        ids.iter().map(|id| n.ran(*id).unwrap().cached).collect::<Vec<_>>()
    };
    place.state.options.cache = Cache::of_everything(folder.path(), 1 << 20);
    assert_eq!(cached(&place), [false, false]);
    assert_eq!(cached(&place), [true, false]);
    // Not how long it took: the time would be that of reading.
    let mut desk = Desk::new(&place, Protocol::None, false);
    desk.app.notebook().run(0);
    desk.settle();
    let id = desk.app.notebook().editor.id();
    if let Some(ran) = desk.app.notebook().ran.get_mut(&id) {
        (ran.millis, ran.cached) = (1000, true);
    }
    desk.draw();
    let first = desk.last.lines().next().unwrap();
    assert!(first.ends_with("cached") && !first.contains("1.0 s"), "{first}");
}

#[test]
fn values_computed_again_are_told_by_the_cells_of_the_notebook_and_leave_no_output() {
    // Too large for the journal.
    let place = Place::with("");
    let lib = place.file.with_file_name("lib.gnt");
    std::fs::write(&lib, "many = sample(n: 9000, seed: 4)").unwrap();
    let import = format!("import \"{}\"", lib.display());
    let cells = "#%%\nprint(norm(many[7]))\n#%%\nprint(norm(many[8]))\n";
    let text = format!("#%% md\nwords\n#%%\n{import}\n{cells}");
    std::fs::write(&place.file, text).unwrap();
    let mut n = place.open();
    n.run(2);
    settle(&mut n);
    assert!(n.close());
    drop(n);
    let mut n = place.open();
    settle(&mut n);
    n.run(3);
    let mut said = Vec::new();
    while n.busy() {
        n.wait();
        said.extend(n.message().map(|m| m.text.clone()));
    }
    said.dedup();
    assert_eq!(said, ["computing again: many of cell 2"]);
    assert_eq!((n.message(), output(&n, 3).lines().count()), (None, 1));
}

#[test]
fn a_name_bound_twice_has_the_value_that_the_order_of_cells_says() {
    let place = Place::with("#%%\nx = 1\n#%%\nprint(x)\n#%%\nx = 2\n#%%\nprint(x)\n");
    let mut n = place.open();
    n.run_all();
    settle(&mut n);
    assert_eq!((output(&n, 1), output(&n, 3)), ("1".into(), "2".into()));
    n.run(1);
    settle(&mut n);
    assert_eq!(output(&n, 1), "1", "x is bound again before");
    n.run(3);
    settle(&mut n);
    assert_eq!(output(&n, 3), "2");
}

#[test]
fn a_failure_ends_the_queue_and_says_where() {
    let place = Place::with("#%%\na = nosuch\n#%%\nb = 1\nassert b == 2\n#%%\nc = 3\n");
    let mut n = place.open();
    n.run_all();
    settle(&mut n);
    assert_eq!(marks(&mut n), "✗○○");
    assert!(output(&n, 0).contains("cell 1:1"), "{}", output(&n, 0));
    assert!(n.message().unwrap().text.contains("2 more cells"));
    n.run(1);
    settle(&mut n);
    assert_eq!(marks(&mut n), "✗✗○");
    set(&mut n, 0, "a = 1");
    assert_eq!(marks(&mut n), "○✗○");
}

#[test]
fn opening_shows_the_last_outputs_and_runs_nothing() {
    let place =
        Place::with("#%%\nw = sample(seed: 3)\n#%%\nshow w, w\n#%%\nn = 4\n#%%\nprint(n)\n");
    let mut n = place.open();
    n.run_all();
    settle(&mut n);
    n.editor.jump(super::editor::Place { cell: 2, at: 3 });
    n.editor.fold(3, true);
    assert!(n.close());
    let shown = (output(&n, 1), output(&n, 3));
    drop(n);
    let mut again = place.open();
    settle(&mut again);
    assert_eq!((output(&again, 1), output(&again, 3)), shown);
    assert_eq!(marks(&mut again), "●●●●");
    assert_eq!(again.editor.place(), super::editor::Place { cell: 2, at: 3 });
    assert!(again.editor.document().cells()[3].folded);
    let before = again.session.snapshot().log.cells().len();
    // The session goes on: the values are there.
    again.run(3);
    settle(&mut again);
    assert_eq!(
        (output(&again, 3).as_str(), again.session.snapshot().log.cells().len()),
        ("4", before + 1)
    );
    drop(again);
    // Without the journal, the cells that it needs run first.
    std::fs::remove_dir_all(&place.journals).unwrap();
    let mut new = place.open();
    assert_eq!(marks(&mut new), "●●●●");
    new.run(3);
    settle(&mut new);
    assert_eq!((output(&new, 3).as_str(), new.session.snapshot().log.cells().len()), ("4", 2));
}

#[test]
fn an_interrupt_keeps_the_best_and_a_second_one_keeps_nothing() {
    let run = "r = invert(sample(seed: 3), space: W, steps: 900000)";
    let place = Place::with(&format!("#%%\n{run}\n#%%\nprint(1)\n"));
    let mut n = place.open();
    for (presses, status) in [(1, Status::Kept), (2, Status::Cut)] {
        n.run_all();
        let begun = Instant::now();
        while n.running().is_none_or(|r| r.reports < 2) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no progress");
            n.wait();
        }
        assert_eq!(n.mark(0), Mark::Running);
        (0..presses).for_each(|_| assert!(n.interrupt()));
        settle(&mut n);
        let id = n.editor.document().cells()[0].id;
        assert_eq!(n.ran(id).unwrap().status, status);
        assert_eq!(n.mark(1), Mark::Stale, "what waited does not run");
    }
    assert!(!n.interrupt());
}

#[test]
fn a_checkpoint_is_written_at_the_end_and_the_run_goes_on_from_it() {
    let run = "r = invert(sample(seed: 3), space: W, steps: 900000)";
    let mut place = Place::with(&format!("#%%\n{run}\n"));
    let folder = place.file.parent().unwrap().join("checkpoints");
    place.state.options.checkpoints = Some(folder.clone());
    let mut n = place.open();
    n.run(0);
    while n.running().is_none_or(|r| r.reports < 3) {
        n.wait();
    }
    n.checkpoint();
    settle(&mut n);
    n.close();
    drop(n);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "a checkpoint");
    let mut again = place.open();
    settle(&mut again);
    assert_eq!(marks(&mut again), "○");
    assert!(!output(&again, 0).is_empty());
    again.run(0);
    while again.running().is_none_or(|r| r.progress.is_none()) {
        again.wait();
    }
    // The steps before the checkpoint are not done again.
    assert!(again.running().unwrap().progress.as_ref().unwrap().step > 1);
    again.interrupt();
    again.interrupt();
    settle(&mut again);
}

#[test]
fn another_programs_change_is_kept_until_the_user_decides() {
    let place = Place::with("#%%\na = 1\n");
    let mut n = place.open();
    set(&mut n, 0, "a = 2");
    std::fs::write(&place.file, "#%%\ntheirs = 1\n").unwrap();
    assert!(!n.save() && n.conflict());
    assert_eq!(std::fs::read_to_string(&place.file).unwrap(), "#%%\ntheirs = 1\n");
    n.keep_both();
    assert_eq!(&*n.editor.document().cells()[0].text, "theirs = 1");
    let mine = place.file.with_file_name("a-mine-1.gnt");
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "#%%\na = 2\n");
    set(&mut n, 0, "theirs = 2");
    std::fs::write(&place.file, "#%%\nother = 1\n").unwrap();
    assert!(n.close_safely().is_some(), "the last save must not lose a text");
    let mine = place.file.with_file_name("a-mine-2.gnt");
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "#%%\ntheirs = 2\n");
}

// ---- the app

pub(super) struct Desk {
    pub(super) app: NotebookApp,
    compositor: Compositor,
    pub(super) size: (u16, u16),
    pub(super) last: String,
    /// Pictures on the screen.
    pictures: usize,
}

impl Desk {
    pub(super) fn new(place: &Place, protocol: Protocol, vi: bool) -> Self {
        let terminal = Terminal { protocol, ..Terminal::plain("test") };
        let app =
            NotebookApp::new(place.open(), place.state.clone(), (Colour::None, vi), "toy".into());
        let mut desk = Self {
            app,
            compositor: Compositor::new(&terminal),
            size: (60, 20),
            last: String::new(),
            pictures: 0,
        };
        desk.draw();
        desk
    }

    pub(super) fn draw(&mut self) {
        let (app, last, pictures) = (&mut self.app, &mut self.last, &mut self.pictures);
        let draw = |canvas: &mut crate::ui::full::Canvas<'_>| {
            app.draw(canvas);
            *pictures = canvas.pictures();
            let area = canvas.area();
            let row =
                |y| (0..area.width).map(|x| canvas.buffer[(x, y)].symbol()).collect::<String>();
            *last = (0..area.height).map(|y| row(y).trim_end().to_owned() + "\n").collect();
        };
        self.compositor.frame(self.size, true, draw).unwrap();
    }

    fn event(&mut self, event: &Event) {
        self.app.input(event);
        self.app.tick();
        self.draw();
    }

    pub(super) fn key(&mut self, code: KeyCode, held: KeyModifiers) {
        self.event(&Event::Key(KeyEvent::new(code, held)));
    }

    pub(super) fn typed(&mut self, text: &str) {
        for c in text.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            self.key(code, KeyModifiers::NONE);
        }
    }

    fn control(&mut self, c: char) {
        self.key(KeyCode::Char(c), KeyModifiers::CONTROL);
    }

    pub(super) fn settle(&mut self) {
        settle(self.app.notebook());
        self.app.tick();
        self.draw();
    }
}

#[test]
fn a_cell_is_typed_run_and_saved() {
    let place = Place::with("");
    let mut desk = Desk::new(&place, Protocol::None, false);
    desk.typed("a = 40\nprint(a + 2)");
    desk.key(KeyCode::Enter, KeyModifiers::SHIFT);
    desk.settle();
    let lines: Vec<&str> = desk.last.lines().collect();
    assert!(lines[0].contains("1 ● a = 40"), "{}", desk.last);
    assert!(lines[2].contains("42") || lines[3].contains("42"), "{}", desk.last);
    desk.control('s');
    assert!(desk.last.contains("saved"), "{}", desk.last);
    assert_eq!(std::fs::read_to_string(&place.file).unwrap(), "#%%\na = 40\nprint(a + 2)\n\n#%%\n");
    desk.control('q');
    assert!(desk.app.over());
    assert!(place.file.with_file_name("a.gnt.outputs").join("index.json").is_file());
}

#[test]
fn a_question_mark_in_an_empty_cell_shows_the_keys() {
    let place = Place::with("");
    let mut desk = Desk::new(&place, Protocol::None, false);
    desk.typed("?");
    assert!(desk.app.mode == Mode::Help(0) && desk.last.contains("run the cell"), "{}", desk.last);
    // Any other key goes back to the text.
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(desk.app.mode == Mode::Edit);
    desk.key(KeyCode::F(1), KeyModifiers::NONE);
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(desk.app.mode == Mode::Edit && desk.app.notebook().editor.text().is_empty());
    // In a text it is a letter.
    desk.typed("\"?");
    assert_eq!(desk.app.notebook().editor.text(), "\"?");
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    desk.typed("?");
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(desk.app.mode == Mode::Command);
}

#[test]
fn a_cell_that_reads_a_name_of_a_cell_below_says_so() {
    let place = Place::with("#%%\nprint(late)\n\n#%%\nlate = 4\n");
    let mut desk = Desk::new(&place, Protocol::None, false);
    desk.size = (90, 20);
    for cell in [1, 0] {
        desk.app.notebook().run(cell);
        desk.settle();
    }
    let notebook = desk.app.notebook();
    assert_eq!((marks(notebook).as_str(), output(notebook, 0).as_str()), ("●●", "4"));
    let line = "late is bound in cell 2, below: the file does not run from top to bottom";
    assert!(desk.last.contains(line), "{}", desk.last);
    set(desk.app.notebook(), 1, "other = 4");
    desk.draw();
    assert!(!desk.last.contains("is bound in cell"), "{}", desk.last);
}

#[test]
fn a_cell_follows_the_cell_below_that_bound_what_it_read() {
    let place = Place::with("#%%\nprint(late)\n\n#%%\nn = 4\n\n#%%\nlate = n\n");
    let mut notebook = place.open();
    // Nothing has bound the name: the order is that of the file, which fails.
    notebook.run_all();
    settle(&mut notebook);
    assert_eq!(marks(&mut notebook), "✗○○");
    for cell in [2, 0] {
        notebook.run(cell);
        settle(&mut notebook);
    }
    assert_eq!((marks(&mut notebook).as_str(), output(&notebook, 0).as_str()), ("●●●", "4"));
    // What the cell below needs counts as well.
    set(&mut notebook, 1, "n = 5");
    assert_eq!(marks(&mut notebook), "○○○");
    notebook.run(0);
    settle(&mut notebook);
    assert_eq!((marks(&mut notebook).as_str(), output(&notebook, 0).as_str()), ("●●●", "5"));
    // Another run of the same text changes nothing.
    notebook.run(2);
    settle(&mut notebook);
    assert_eq!(marks(&mut notebook), "●●●");
    // Without the cell below, a run of the file would fail.
    set(&mut notebook, 2, "other = n");
    assert_eq!(marks(&mut notebook), "○●○");
    drop(notebook);
}

#[test]
fn cells_that_read_names_of_each_other_run_in_the_order_of_the_file() {
    let place = Place::with("#%%\na = 1\n\n#%%\nb = a\n");
    let mut notebook = place.open();
    notebook.run_all();
    settle(&mut notebook);
    set(&mut notebook, 0, "a = b + 1");
    notebook.run_stale();
    settle(&mut notebook);
    assert_eq!([output(&notebook, 0), output(&notebook, 1)], ["2", "2"]);
    // The first one read what the second one has bound anew since.
    assert_eq!(marks(&mut notebook), "○●");
}

#[test]
fn the_signature_at_the_cursor_leaves_the_room_to_results_when_a_cell_runs() {
    let place = Place::with("#%%\nw = sample(seed: 3)\n");
    for keys in [('r', KeyModifiers::CONTROL), ('t', KeyModifiers::CONTROL)] {
        let mut desk = Desk::new(&place, Protocol::None, false);
        desk.size = (90, 20);
        desk.key(KeyCode::Enter, KeyModifiers::NONE);
        desk.key(KeyCode::End, KeyModifiers::NONE);
        desk.key(KeyCode::Left, KeyModifiers::NONE);
        assert!(desk.last.contains("sample("), "{}", desk.last);
        let shown = desk.last.contains("→ Latent");
        desk.key(KeyCode::Char(keys.0), keys.1);
        desk.settle();
        assert!(shown && !desk.last.contains("→ Latent"), "{}", desk.last);
        // The next key in the call brings it back.
        desk.key(KeyCode::Left, KeyModifiers::NONE);
        assert!(desk.last.contains("→ Latent"), "{}", desk.last);
    }
}

#[test]
fn a_name_that_the_generator_has_is_not_called_late() {
    let place = Place::with("#%%\nw = sample() + smile\n\n#%%\nsmile = 4\n");
    let mut desk = Desk::new(&place, Protocol::None, false);
    desk.size = (90, 20);
    desk.draw();
    assert!(!desk.last.contains("is bound in cell"), "{}", desk.last);
}

#[test]
fn rows_of_pictures_without_captions_are_all_drawn() {
    let place = Place::with(
        "#%%\nshow sample(seed: 1)\nprint(1)\nshow sample(n: 12)\nshow sample(seed: 2)\n",
    );
    let mut desk = Desk::new(&place, Protocol::Blocks, false);
    desk.size = (60, 200);
    desk.typed("r");
    desk.settle();
    assert_eq!(desk.pictures, 14, "{}", desk.last);
}

#[test]
fn completion_search_outline_and_help_are_on_the_screen() {
    let place = Place::with("#%% md First\nwords\n\n#%%\nstrength = 2\n");
    let mut desk = Desk::new(&place, Protocol::None, false);
    desk.typed("G");
    desk.key(KeyCode::Enter, KeyModifiers::NONE);
    desk.key(KeyCode::End, KeyModifiers::CONTROL);
    desk.typed("\ny = stren");
    desk.key(KeyCode::Tab, KeyModifiers::NONE);
    assert!(desk.last.contains("y = strength"), "{}", desk.last);
    desk.typed("\nz = inv");
    desk.key(KeyCode::Tab, KeyModifiers::NONE);
    assert!(desk.last.contains("z = invert("), "{}", desk.last);
    assert!(desk.last.contains("╰─ invert("), "{}", desk.last);
    desk.control('f');
    desk.typed("words");
    assert_eq!(desk.app.notebook().editor.place().cell, 0);
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    desk.control('o');
    assert!(desk.last.contains("First") && desk.last.contains("strength = 2"), "{}", desk.last);
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    desk.typed("?");
    assert!(desk.last.contains("run the cell"), "{}", desk.last);
    // What is wrong is found while typing.
    desk.typed("qG");
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    desk.settle();
    let begun = Instant::now();
    while desk.app.mistakes.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "no mistake was found");
        desk.app.tick();
    }
}

#[test]
fn the_mouse_puts_the_cursor_and_folds_open() {
    let place = Place::with("#%%\na = 1\nb = 2\n\n#%%\nc = 3\n");
    let mut desk = Desk::new(&place, Protocol::None, false);
    let click = |x, y| {
        Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: x,
            row: y,
            modifiers: KeyModifiers::NONE,
        })
    };
    desk.event(&click(9, 1));
    let at = desk.app.notebook().editor.place();
    assert_eq!((at.cell, at.at, &desk.app.mode), (0, 8, &Mode::Edit));
    desk.key(KeyCode::Esc, KeyModifiers::NONE);
    desk.typed("f");
    assert!(desk.last.contains("2 lines") && !desk.last.contains("b = 2"), "{}", desk.last);
    desk.event(&click(8, 0));
    assert!(desk.last.contains("b = 2"), "{}", desk.last);
}

#[test]
fn pictures_scroll_out_at_the_top_and_leave_nothing() {
    let place = Place::with("#%%\nshow sample(seed: 1), sample(seed: 2)\n\n#%%\nb = 1\n");
    for protocol in [Protocol::Blocks, Protocol::Kitty, Protocol::Sixel, Protocol::Iterm] {
        let mut desk = Desk::new(&place, protocol, false);
        desk.typed("r");
        desk.settle();
        for _ in 0..6 {
            desk.app.screen.scroll(1);
            desk.draw();
        }
        desk.size = (33, 9);
        desk.event(&Event::Resize(33, 9));
        desk.typed("G");
        assert!(desk.last.contains("b = 1"), "{protocol:?} {}", desk.last);
    }
}

/// One random input of a person.
fn random(rng: &mut Rng) -> Event {
    let mut below = |n: usize| (rng.uniform() * n as f64) as usize % n;
    let key = |code, held| Event::Key(KeyEvent::new(code, held));
    let letters: Vec<char> = "abdefgijkmnorstuwxyGJKMRUV/?:= 123()\"#%é顔".chars().collect();
    match below(16) {
        0..=6 => key(KeyCode::Char(letters[below(letters.len())]), KeyModifiers::NONE),
        7 => {
            let c = ['c', 'r', 's', 't', 'f', 'o', 'u', 'y', 'x', 'v', 'a', 'k', 'w'][below(13)];
            key(KeyCode::Char(c), KeyModifiers::CONTROL)
        }
        8 => {
            let codes = [KeyCode::Up, KeyCode::Down, KeyCode::Char('s'), KeyCode::Char('j')];
            key(codes[below(4)], KeyModifiers::ALT)
        }
        9 => {
            let codes = [KeyCode::Left, KeyCode::Right, KeyCode::Up, KeyCode::Down, KeyCode::Home];
            key(codes[below(5)], [KeyModifiers::NONE, KeyModifiers::SHIFT][below(2)])
        }
        10 => key([KeyCode::Enter, KeyCode::Esc, KeyCode::Tab][below(3)], KeyModifiers::NONE),
        11 => key([KeyCode::Backspace, KeyCode::Delete][below(2)], KeyModifiers::NONE),
        12 => key(KeyCode::Enter, KeyModifiers::SHIFT),
        13 => {
            let texts = [
                "x = 1\nprint(x)",
                "#%%\ny = x",
                "#%% md\nwords\r\n",
                "show [1, 2]",
                "\u{1b}[2J\0",
            ];
            Event::Paste(texts[below(5)].into())
        }
        14 => Event::Resize([1, 7, 30, 60, 120][below(5)], [1, 2, 5, 20, 40][below(5)]),
        _ => {
            let kinds = [
                MouseEventKind::Down(MouseButton::Left),
                MouseEventKind::Drag(MouseButton::Left),
                MouseEventKind::ScrollDown,
                MouseEventKind::ScrollUp,
            ];
            let (column, row) = (below(60) as u16, below(20) as u16);
            let modifiers = KeyModifiers::NONE;
            Event::Mouse(MouseEvent { kind: kinds[below(4)], column, row, modifiers })
        }
    }
}

#[test]
fn a_thousand_random_sequences_of_keys() {
    let place = Place::with(
        "#%% md\n# Title\n\n#%%\nx = 1\n\n#%%\ny = x + 1\nprint(y)\n\n#%%\nshow [x, y]\n",
    );
    let text = std::fs::read_to_string(&place.file).unwrap();
    let mut rng = Rng::new(5);
    for round in 0..50 {
        std::fs::write(&place.file, &text).unwrap();
        let protocol = [Protocol::None, Protocol::Blocks, Protocol::Kitty][round % 3];
        let session = session(&place.state, None);
        let notebook = Notebook::open(&place.file, session, "base").unwrap();
        let app = NotebookApp::new(
            notebook,
            place.state.clone(),
            (Colour::None, round % 4 == 3),
            "toy".into(),
        );
        let terminal = Terminal { protocol, ..Terminal::plain("test") };
        let compositor = Compositor::new(&terminal);
        let mut desk = Desk { app, compositor, size: (60, 20), last: String::new(), pictures: 0 };
        // Twenty sequences of twelve inputs, each on the state that the one before left.
        for _ in 0..20 {
            for _ in 0..12 {
                let event = random(&mut rng);
                if let Event::Resize(w, h) = event {
                    desk.size = (w, h);
                }
                desk.app.input(&event);
                desk.app.tick();
            }
            desk.draw();
            let n = desk.app.notebook();
            let printed = n.editor.document().print();
            assert_eq!(Document::parse(&printed).print(), printed);
        }
        let n = desk.app.notebook();
        n.interrupt();
        n.interrupt();
        settle(n);
        assert!(n.close());
        let saved = std::fs::read_to_string(&place.file).unwrap();
        let cells = |d: &Document| d.cells().iter().map(|c| c.source()).collect::<Vec<_>>();
        assert_eq!(cells(&Document::parse(&saved)), cells(n.editor.document()), "round {round}");
    }
}

/// `cargo test --release notebook_of_two_hundred -- --ignored --nocapture` prints the times.
#[test]
#[ignore = "measures time"]
fn a_notebook_of_two_hundred_cells_opens_and_scrolls() {
    let mut text = String::new();
    for k in 0..100 {
        text.push_str(&format!("#%% md\nCell {k}\n\n#%%\nshow sample(seed: {k})\n\n"));
    }
    let place = Place::with(&text);
    let mut n = place.open();
    n.run_all();
    let begun = Instant::now();
    while n.busy() {
        assert!(begun.elapsed() < Duration::from_secs(600));
        n.wait();
    }
    assert!(n.close());
    drop(n);
    for protocol in [Protocol::Blocks, Protocol::Kitty, Protocol::Sixel] {
        let begun = Instant::now();
        let mut desk = Desk::new(&place, protocol, false);
        let opened = begun.elapsed();
        settle(desk.app.notebook());
        desk.size = (120, 40);
        let (begun, frames) = (Instant::now(), 300);
        for _ in 0..frames {
            desk.app.screen.scroll(3);
            desk.draw();
        }
        let each = begun.elapsed() / frames;
        println!("{protocol:?}: opened in {opened:?}, {each:?} a frame");
        assert!(opened < Duration::from_millis(300) && each < Duration::from_millis(33));
    }
}
