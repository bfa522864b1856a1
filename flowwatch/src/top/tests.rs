//! What the screen looks like: whole pictures, kept beside this file and looked at when they change;
//! and what keys and the mouse do.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

use super::columns::COLUMNS;
use super::filter::FILTER_KEYS;
use super::fixtures::{Home, adversarial, after, start};
use super::keys::KEYS;
use super::look::Look;
use super::panes::Overlay;
use super::screen::{Effect, Screen};
use crate::store::Warning;

/// Seconds that a home was watched.
const WATCHED: usize = 100;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

/// Returns an empty screen on a terminal with Unicode and, where it is wanted, colours.
fn screen(has_colours: bool) -> Screen {
    let look = Look::of(|name| match name {
        "LANG" => Some("C.UTF-8".into()),
        "NO_COLOR" if !has_colours => Some("1".into()),
        _ => None,
    });
    Screen::new("here".to_owned(), None, look)
}

/// A screen that has watched a home for a while.
fn watched() -> Screen {
    let mut screen = screen(true);
    Home::new()
        .updates(WATCHED)
        .for_each(|update| screen.take_in(update));
    screen
}

fn press(screen: &mut Screen, keys: &str) -> Effect {
    let mut effect = Effect::Nothing;
    for letter in keys.chars() {
        let code = match letter {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            '↓' => KeyCode::Down,
            '↑' => KeyCode::Up,
            letter => KeyCode::Char(letter),
        };
        // As a user does, who sees what one key did before the next.
        picture(screen, SIZES[1]);
        effect = screen.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    effect
}

fn point(screen: &mut Screen, kind: MouseEventKind, (column, row): (u16, u16)) {
    screen.point(MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    });
}

fn click(screen: &mut Screen, at: (u16, u16)) {
    point(screen, MouseEventKind::Down(MouseButton::Left), at);
}

fn picture(screen: &mut Screen, (columns, rows): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns the characters of a picture, as a terminal shows them.
fn text_of(picture: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..picture.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < picture.area.width {
            let symbol = picture[(x, y)].symbol();
            line += symbol;
            x += (symbol.width() as u16).max(1);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn lines(screen: &mut Screen, size: (u16, u16)) -> String {
    text_of(&picture(screen, size))
}

/// Compares pictures of all sizes with those that are kept.
fn check(name: &str, screen: &mut Screen) {
    for size in SIZES {
        let text = lines(screen, size);
        let name = format!("{name}-{}x{}", size.0, size.1);
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, text);
        });
    }
}

/// Returns the style of the first place where a text stands.
fn style_of(picture: &Buffer, text: &str) -> Style {
    let area = picture.area;
    let rows = (0..area.height).flat_map(|y| (0..area.width).map(move |x| (x, y)));
    let stands = |&(x, y): &(u16, u16)| {
        let cells = (x..area.width).map(|x| picture[(x, y)].symbol());
        let line: String = cells.take(text.chars().count()).collect();
        line == text
    };
    let at = rows
        .into_iter()
        .find(stands)
        .unwrap_or_else(|| panic!("`{text}` is not there"));
    picture[at].style()
}

#[test]
fn a_watched_home_looks_like_this() {
    check("home", &mut watched());
}

#[test]
fn before_the_first_update_it_says_so() {
    check("nothing", &mut screen(true));
}

#[test]
fn a_filter_shows_what_it_lets_through() {
    let mut screen = watched();
    press(&mut screen, "/country:us !name:\n");
    check("filter", &mut screen);
}

#[test]
fn a_filter_that_is_typed_shows_why_it_is_none() {
    let mut screen = watched();
    press(&mut screen, "/land:CN");
    check("filter-typed", &mut screen);
}

#[test]
fn groups_have_the_sums_of_their_destinations() {
    let mut screen = watched();
    press(&mut screen, "g");
    check("names", &mut screen);
    press(&mut screen, "g");
    check("organizations", &mut screen);
    press(&mut screen, "g");
    check("countries", &mut screen);
}

#[test]
fn details_tell_all_that_is_known() {
    let mut screen = watched();
    press(&mut screen, "/us-master\n\n");
    let mut home = Home::new();
    home.updates(WATCHED).for_each(drop);
    home.updates(40).for_each(|update| screen.take_in(update));
    check("details", &mut screen);
}

#[test]
fn the_help_has_every_key() {
    let mut screen = watched();
    press(&mut screen, "?");
    check("help", &mut screen);
}

#[test]
fn while_paused_nothing_moves_and_nothing_is_missed() {
    let mut screen = watched();
    assert_eq!(press(&mut screen, " "), Effect::Hold(true));
    check("paused", &mut screen);
    let before = lines(&mut screen, SIZES[0]);
    let mut home = Home::new();
    home.updates(WATCHED).for_each(drop);
    home.updates(3).for_each(|update| screen.take_in(update));
    assert_eq!(lines(&mut screen, SIZES[0]), before);
    assert_eq!(press(&mut screen, " "), Effect::Hold(false));
    let mut witness = super::tests::screen(true);
    Home::new()
        .updates(WATCHED + 3)
        .for_each(|update| witness.take_in(update));
    assert_eq!(lines(&mut screen, SIZES[0]), lines(&mut witness, SIZES[0]));
}

#[test]
fn losses_and_frames_that_do_not_add_up_are_told_in_words() {
    let mut screen = screen(true);
    for mut update in Home::new().updates(2) {
        update.meta.losses.samples_dropped = 1_234;
        update.meta.losses.window_packets = 5;
        update.devices[0].conserved = false;
        screen.take_in(update);
    }
    check("losses", &mut screen);
}

#[test]
fn warnings_are_counted_in_the_header_and_told_on_a_page_of_their_own() {
    let mut screen = screen(true);
    let warning = |check: &str, text: &str| Warning {
        check: check.to_owned(),
        subject: None,
        text: text.to_owned(),
    };
    for mut update in Home::new().updates(2) {
        update.meta.warnings = vec![
            warning(
                "interface.hw_tc_offload",
                "interface `lan0`: hw-tc-offload is on: what its card forwards by itself, no software \
                 sees; ethtool -K lan0 hw-tc-offload off",
            ),
            warning("database.age", "database `old.mmdb`: it is old\u{1b}[2J"),
        ];
        screen.take_in(update);
    }
    check("warned", &mut screen);
    press(&mut screen, "w");
    check("warnings", &mut screen);
}

#[test]
fn names_of_strangers_do_no_harm() {
    let mut screen = screen(true);
    screen.take_in(adversarial());
    check("strangers", &mut screen);
    press(&mut screen, "↓\n");
    check("strangers-details", &mut screen);
    for size in SIZES {
        let text = lines(&mut screen, size);
        let bad = text
            .chars()
            .find(|it| !crate::text::is_printable(*it) && *it != '\n');
        assert_eq!(bad, None, "{text}");
    }
}

#[test]
fn a_terminal_without_unicode_gets_none_of_it() {
    let mut screen = watched();
    screen.look = Look::of(|_| None);
    press(&mut screen, "/!name:杭州\n");
    for keys in ["", "\n", "\u{1b}g", "?"] {
        press(&mut screen, keys);
        let text = lines(&mut screen, SIZES[1]);
        assert!(text.is_ascii() || text.contains("杭州"), "{text}");
    }
}

#[test]
fn a_small_window_says_what_it_needs() {
    for size in [(79, 24), (80, 23), (20, 5), (1, 1)] {
        let text = lines(&mut watched(), size);
        assert!(size.0 < 20 || text.starts_with("This window has"), "{text}");
    }
}

#[test]
fn no_size_is_a_panic() {
    let mut screen = watched();
    for keys in ["", "\n", "\u{1b}g", "?", "\u{1b}/x"] {
        press(&mut screen, keys);
        for size in [
            (80, 24),
            (81, 25),
            (99, 24),
            (100, 24),
            (133, 60),
            (500, 200),
        ] {
            picture(&mut screen, size);
        }
    }
}

#[test]
fn base_colours_stand_out_and_without_colours_nothing_is_coloured() {
    let mut coloured = watched();
    let shown = picture(&mut coloured, SIZES[2]);
    assert_eq!(style_of(&shown, "(no name seen)").fg, Some(Color::Yellow));
    assert_eq!(style_of(&shown, "Destinations").fg, Some(Color::Cyan));
    let base = [
        Color::Reset,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Magenta,
        Color::Cyan,
    ];
    for cell in shown.content() {
        assert!(
            base.contains(&cell.fg) && cell.bg == Color::Reset,
            "{cell:?}"
        );
    }
    let mut plain = screen(false);
    Home::new()
        .updates(WATCHED)
        .for_each(|update| plain.take_in(update));
    let without = picture(&mut plain, SIZES[2]);
    assert!(without.content().iter().all(|cell| cell.fg == Color::Reset));
    assert_eq!(
        text_of(&without),
        text_of(&shown),
        "a colour told something"
    );
    let sorted = style_of(&without, "Up/s▼");
    assert!(sorted.add_modifier.contains(Modifier::UNDERLINED));
}

#[test]
fn a_device_shows_its_destinations_alone() {
    let mut screen = watched();
    press(&mut screen, "\t↓↓");
    let text = lines(&mut screen, SIZES[1]);
    assert!(text.contains("Destinations of plug"), "{text}");
    assert!(!text.contains("iotcplatform"), "{text}");
    press(&mut screen, "↑↑↑");
    let text = lines(&mut screen, SIZES[1]);
    assert!(text.contains("─ Destinations ·"), "{text}");
}

#[test]
fn what_is_selected_stays_selected_while_lines_move() {
    let mut screen = watched();
    press(&mut screen, "↓↓");
    let selected = |screen: &mut Screen| {
        let shown = picture(screen, SIZES[1]);
        let is_selected = |y: &u16| shown[(5, *y)].modifier.contains(Modifier::REVERSED);
        let row = (9..40).find(is_selected).unwrap();
        let line: String = (2..30).map(|x| shown[(x, row)].symbol()).collect();
        line
    };
    let before = selected(&mut screen);
    press(&mut screen, "r");
    assert_eq!(selected(&mut screen), before);
    press(&mut screen, "ssss");
    assert_eq!(selected(&mut screen), before);
}

#[test]
fn a_group_opens_as_its_destinations() {
    let mut screen = watched();
    press(&mut screen, "ggg/china\n\n");
    let text = lines(&mut screen, SIZES[1]);
    assert!(text.contains("by filter: china country:CN"), "{text}");
    press(&mut screen, "\u{1b}");
    let text = lines(&mut screen, SIZES[1]);
    assert!(!text.contains("by filter"), "{text}");
}

#[test]
fn a_dropped_filter_leaves_what_was_there() {
    let mut screen = watched();
    press(&mut screen, "/alibaba\n");
    let before = lines(&mut screen, SIZES[1]);
    press(&mut screen, "/\u{8}\u{8}\u{8}x\u{1b}");
    assert_eq!(lines(&mut screen, SIZES[1]), before);
}

#[test]
fn the_mouse_selects_opens_and_sorts() {
    let mut screen = watched();
    let text = lines(&mut screen, SIZES[1]);
    let titles = text
        .lines()
        .position(|line| line.contains("Up/s▼"))
        .unwrap() as u16;
    click(&mut screen, (5, titles + 3));
    picture(&mut screen, SIZES[1]);
    assert_eq!(screen.list.cursor.position, 2);
    click(&mut screen, (5, titles + 3));
    assert!(lines(&mut screen, SIZES[1]).contains("Details of"));
    press(&mut screen, "\u{1b}");
    click(&mut screen, (5, titles));
    assert!(lines(&mut screen, SIZES[1]).contains("Name▲"));
    click(&mut screen, (5, titles));
    assert!(lines(&mut screen, SIZES[1]).contains("Name▼"));
    click(&mut screen, (5, 6));
    assert!(lines(&mut screen, SIZES[1]).contains("Destinations of plug"));
    point(&mut screen, MouseEventKind::ScrollUp, (5, 6));
    assert!(lines(&mut screen, SIZES[1]).contains("─ Destinations ·"));
}

#[test]
fn a_new_destination_is_marked_for_a_minute() {
    let mut home = Home::new();
    let mut screen = screen(true);
    home.updates(70).for_each(|update| screen.take_in(update));
    let is_marked = |screen: &mut Screen| {
        let text = lines(screen, SIZES[1]);
        let line = text
            .lines()
            .find(|line| line.contains("late.example"))
            .unwrap();
        line.starts_with('+')
    };
    assert!(is_marked(&mut screen));
    home.updates(45).for_each(|update| screen.take_in(update));
    assert!(is_marked(&mut screen), "55 s old");
    home.updates(10).for_each(|update| screen.take_in(update));
    assert!(!is_marked(&mut screen), "65 s old");
}

#[test]
fn what_is_shown_is_what_is_written() {
    let mut screen = watched();
    press(&mut screen, "/iotc\nss");
    assert_eq!(press(&mut screen, "e"), Effect::Export("csv"));
    let snapshot = screen.snapshot().unwrap();
    let shown = lines(&mut screen, SIZES[2]);
    let mut rest = shown.as_str();
    assert_eq!(snapshot.flows.len(), 3);
    for flow in &snapshot.flows {
        let address = flow.remote_address.to_string();
        let Some((_, after)) = rest.split_once(&address) else {
            panic!("{address} is not in its place: {shown}")
        };
        rest = after;
    }
    assert_eq!(snapshot.meta.ended_at, after(99));
    assert!(snapshot.meta.started_at == start() && !snapshot.devices.is_empty());
}

#[test]
fn rates_are_those_of_the_last_seconds() {
    let mut screen = screen(true);
    let mut home = Home::new();
    home.updates(1).for_each(|update| screen.take_in(update));
    let text = lines(&mut screen, SIZES[0]);
    assert!(
        text.contains("Up 0 B/s"),
        "what was counted before has no rate: {text}"
    );
    home.updates(60).for_each(|update| screen.take_in(update));
    // The camera's flows send 12,000 octets a second, the others 12 and 120, and the new one 400.
    let text = lines(&mut screen, SIZES[0]);
    let rate = Home::RATE_UP;
    assert!(
        text.contains(&format!("Up {}/s", super::quantity::octets(rate))),
        "{text}"
    );
}

#[test]
fn the_page_on_the_view_has_every_key_filter_and_column() {
    let page = include_str!("../../../docs/top.md");
    let keys = KEYS.iter().map(|key| (key.shown, key.description));
    let filters = FILTER_KEYS.iter().map(|key| (key.example, key.description));
    let columns = COLUMNS.iter().map(|it| (it.title, it.description));
    for list in [
        keys.collect::<Vec<_>>(),
        filters.collect(),
        columns.collect(),
    ] {
        let row = |(shown, description): &(_, _)| format!("| `{shown}` | {description} |\n");
        let rows: String = list.iter().map(row).collect();
        assert!(page.contains(&rows), "docs/top.md lacks:\n{rows}");
    }
}

#[test]
fn another_counting_takes_the_place_of_the_one_before_when_it_is_told() {
    let mut screen = watched();
    press(&mut screen, "/iotc\n\n");
    let before = lines(&mut screen, SIZES[1]);
    screen.waiting = Some("DAEMON GONE, waiting for it".to_owned());
    let missing = lines(&mut screen, SIZES[1]);
    assert!(missing.contains("DAEMON GONE"), "{missing}");
    assert!(screen.overlay != Overlay::Nothing, "{before}");
    screen.begin_anew();
    assert!(
        lines(&mut screen, SIZES[1]).contains("DAEMON GONE"),
        "nothing was told yet"
    );
    let first = Home::new().updates(1).next().unwrap();
    let flows = first.told.len();
    screen.take_in(first);
    assert_eq!(screen.world.flows.len(), flows);
    assert_eq!(
        screen.overlay,
        Overlay::Nothing,
        "its number is another flow's"
    );
    let joined = lines(&mut screen, SIZES[1]);
    assert!(!joined.contains("DAEMON GONE"), "{joined}");
    assert!(
        joined.contains("by filter: iotc"),
        "the filter stays: {joined}"
    );
}

#[test]
fn what_is_paused_stays_until_it_goes_on_whatever_is_told() {
    let mut screen = watched();
    press(&mut screen, "\n ");
    screen.begin_anew();
    screen.take_in(Home::new().updates(1).next().unwrap());
    assert!(matches!(screen.overlay, Overlay::Details(_)));
    press(&mut screen, " ");
    assert_eq!(screen.overlay, Overlay::Nothing);
}
